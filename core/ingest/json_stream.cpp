#include "core/ingest/json_stream.h"

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace postern::ingest {
namespace {

// long double: 1e999 is JSON, and a double can't hold it.
using Json = nlohmann::basic_json<std::map, std::vector, std::string, bool, int64_t, uint64_t, long double>;

// The parser's events, scalars of all types as one. Returning false ends the parsing.
class Events : public nlohmann::json_sax<Json> {
 public:
  bool null() final { return scalar({JsonValue::Kind::kNull, {}}); }
  bool boolean(bool value) final { return scalar({JsonValue::Kind::kScalar, value ? "true" : "false"}); }
  bool number_integer(int64_t value) final { return scalar({JsonValue::Kind::kScalar, std::to_string(value)}); }
  bool number_unsigned(uint64_t value) final { return scalar({JsonValue::Kind::kScalar, std::to_string(value)}); }
  bool number_float(long double, const std::string& text) final { return scalar({JsonValue::Kind::kScalar, text}); }
  bool string(std::string& value) final { return scalar({JsonValue::Kind::kScalar, std::move(value)}); }
  bool binary(Json::binary_t&) final { return false; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) final { return false; }

 protected:
  virtual bool scalar(JsonValue value) = 0;
};

// The parser takes a NUL for the end of the text: whatever comes behind it would go unread. No JSON text holds one.
bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

class Checker final : public Events {
 public:
  bool too_deep() const { return depth_ > kMaxJsonDepth; }

  bool key(std::string&) override { return true; }
  bool start_object(size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool start_array(size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool end_object() override { return --depth_, true; }
  bool end_array() override { return --depth_, true; }

 private:
  bool scalar(JsonValue) override { return true; }

  size_t depth_ = 0;
};

// Walks down to the pointer's value and stops there. `path_` containers on the way are open, the innermost one at
// depth_ == path_.
class Finder final : public Events {
 public:
  explicit Finder(const PointerTokens& pointer) : pointer_(pointer) {}

  std::optional<JsonValue> take() { return std::move(found_); }

  bool key(std::string& name) override {
    if (depth_ == path_) next_ = name == pointer_[path_ - 1];
    return true;
  }
  bool start_object(size_t) override { return start(JsonValue::Kind::kObject); }
  bool start_array(size_t) override { return start(JsonValue::Kind::kArray); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }

 private:
  // Whether the value that begins here is the next one on the way.
  bool on_way() {
    if (depth_ != path_) return false;
    if (path_ == 0) return true;
    return in_array_ ? index_++ == wanted_ : next_;
  }

  bool scalar(JsonValue value) override {
    if (!on_way()) return true;
    if (path_ == pointer_.size()) found_ = std::move(value);
    return false;
  }

  bool start(JsonValue::Kind kind) {
    if (on_way()) {
      if (path_ == pointer_.size()) {
        found_ = JsonValue{kind, {}};
        return false;
      }
      in_array_ = kind == JsonValue::Kind::kArray;
      wanted_ = in_array_ ? array_index(pointer_[path_]) : std::nullopt;
      index_ = 0;
      ++path_;
    }
    ++depth_;
    return true;
  }

  bool end() { return depth_-- != path_; }  // the end of a container on the way: what is wanted was not in it

  const PointerTokens& pointer_;
  std::optional<JsonValue> found_;
  size_t depth_ = 0;
  size_t path_ = 0;
  bool in_array_ = false;
  bool next_ = false;
  size_t index_ = 0;
  std::optional<size_t> wanted_;
};

}  // namespace

Status check_json(std::string_view text) {
  Checker checker;
  if (!has_nul(text) && Json::sax_parse(text.begin(), text.end(), &checker)) return Status::ok();
  return Status(Code::kInvalid, checker.too_deep() ? "JSON is nested too deep" : "not one JSON text in UTF-8");
}

bool accepts_json(std::string_view text) { return !has_nul(text) && Json::accept(text); }

std::optional<JsonValue> find_json(std::string_view text, const PointerTokens& pointer) {
  Finder finder(pointer);
  Json::sax_parse(text.begin(), text.end(), &finder);
  return finder.take();
}

}  // namespace postern::ingest
