// StoredObject: a record of ours, read with its version and written with it; written only when something changed, so
// that an event that comes twice leaves no trace. Thread-safety: belongs to the handler that made it.
#pragma once

#include <nlohmann/json.hpp>
#include <postern/plugin.hpp>
#include <string>

namespace openphone {

using nlohmann::json;

class StoredObject {
 public:
  StoredObject(postern::Delivery& delivery, std::string collection, std::string key)
      : delivery_(delivery), collection_(std::move(collection)), key_(std::move(key)) {
    postern::Record record = delivery_.get(collection_, key_);
    version_ = record.version;
    if (record) before_ = json::parse(record.json, nullptr, false);
    if (!before_.is_object()) before_ = json::object();
    value = before_;
  }

  void save() {
    if (value != before_)
      delivery_.put(collection_, key_, value.dump(-1, ' ', false, json::error_handler_t::replace), version_);
  }

  bool has(const char* field) const { return value.contains(field); }
  std::string text(const char* field) const {
    auto found = value.find(field);
    return found != value.end() && found->is_string() ? found->get<std::string>() : std::string();
  }

  // Sets a field that the event gives: over an older value only when `newer`.
  void merge(const char* field, const json& given, bool newer) {
    bool nothing = given.is_null() || (given.is_string() && given.get_ref<const std::string&>().empty()) ||
                   (given.is_array() && given.empty());
    if (!nothing && (newer || !has(field))) value[field] = given;
  }

  json value;

 private:
  postern::Delivery& delivery_;
  std::string collection_, key_;
  uint64_t version_ = 0;
  json before_;
};

}  // namespace openphone
