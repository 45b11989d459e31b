// BodyReader: a JSON object of a request, read strictly: the first fault is kept, and what was not asked for is one.
// Thread-safety: one thread at a time.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace postern::admin {

class BodyReader {
 public:
  explicit BodyReader(std::string_view body) : json_(nlohmann::json::parse(body, nullptr, false)) {
    if (json_.is_object()) return;
    fail("the body must be a JSON object");
    json_ = nlohmann::json::object();
  }

  const nlohmann::json* find(const std::string& name) {
    known_.insert(name);
    auto found = json_.find(name);
    return found == json_.end() ? nullptr : &*found;
  }
  std::string text(const std::string& name) {
    constexpr size_t kMost = 1000;
    const nlohmann::json* value = find(name);
    if (value == nullptr) return "";
    if (value->is_string() && value->get_ref<const std::string&>().size() <= kMost) return value->get<std::string>();
    fail(name + " must be a text of at most " + std::to_string(kMost) + " bytes");
    return "";
  }
  int64_t whole(const std::string& name, int64_t otherwise, int64_t min, int64_t max) {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return otherwise;
    bool fits = value->is_number_integer() && !(value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX);
    if (fits && value->get<int64_t>() >= min && value->get<int64_t>() <= max) return value->get<int64_t>();
    fail(name + " must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return otherwise;
  }
  bool flag(const std::string& name) {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return false;
    if (value->is_boolean()) return value->get<bool>();
    fail(name + " must be true or false");
    return false;
  }

  void fail(const std::string& why) {
    if (status_) status_ = {Code::kInvalid, why};
  }
  // After the last member was asked for.
  Status end() {
    for (const auto& member : json_.items()) {
      if (!known_.contains(member.key())) fail("there is no member '" + member.key() + "' here");
    }
    return status_;
  }

 private:
  nlohmann::json json_;
  std::set<std::string> known_;
  Status status_;
};

}  // namespace postern::admin
