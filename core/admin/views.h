// Views: what the admin API shows, as JSON. Fields are named as the store's columns.
// Thread-safety: any thread that may wait for the disk.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>

#include "core/base/status.h"
#include "core/dispatch/dispatcher.h"
#include "core/store/store.h"

namespace postern::admin {

struct Sources {
  store::Store& store;
  dispatch::Dispatcher& dispatcher;
  std::function<nlohmann::json()> plugins;  // what the running configuration has
  std::function<nlohmann::json()> routes;
  std::function<nlohmann::json()> gateway;  // version, start, listeners, connections
  std::function<std::string()> metrics;     // as text for Prometheus
};

nlohmann::json to_json(const store::DeliveryRow& row);

class Views {
 public:
  explicit Views(Sources sources) : sources_(std::move(sources)) {}

  nlohmann::json status() const;
  nlohmann::json plugins() const;
  nlohmann::json routes() const;
  std::string metrics() const;
  Result<nlohmann::json> events(const store::EventFilter& filter) const;
  // With content, deliveries and failed attempts. kNotFound where there is no such id.
  Result<nlohmann::json> event(const std::string& event_id) const;
  Result<nlohmann::json> dead(int64_t before_seq, size_t limit) const;
  // A dead delivery with its attempts and its event.
  Result<nlohmann::json> dead_one(int64_t delivery) const;

 private:
  Result<nlohmann::json> with_attempts(const store::DeliveryRow& row) const;

  Sources sources_;
};

}  // namespace postern::admin
