#include "core/ingest/json_body.h"

#include <simdjson.h>

#include <cstring>

#include "core/ingest/json_pointer.h"
#include "core/ingest/json_stream.h"

namespace postern::ingest {
namespace {

namespace dom = simdjson::dom;

// simdjson keeps about 14 bytes for each byte of the largest text it has seen. Above this size (1 MiB of memory) it
// gives them back before the next text, so that one big body doesn't weigh on every thread for good.
constexpr size_t kKeptCapacity = 64 * 1024;

std::optional<dom::element> child(dom::element parent, const std::string& token) {
  dom::element found;
  if (parent.is_object()) {
    if (parent.get_object().value_unsafe().at_key(token).get(found) != simdjson::SUCCESS) return std::nullopt;
    return found;
  }
  if (!parent.is_array()) return std::nullopt;
  const auto index = array_index(token);
  if (!index || parent.get_array().value_unsafe().at(*index).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

// A text that simdjson has parsed.
class FastBody final : public JsonBody {
 public:
  FastBody(dom::element root, std::string_view text) : root_(root), text_(text) {}

  std::optional<std::string> scalar(const PointerTokens& pointer) const override {
    const auto element = find(pointer);
    if (!element) return std::nullopt;
    switch (element->type()) {
      case dom::element_type::STRING:
        return std::string(element->get_string().value_unsafe());
      case dom::element_type::INT64:
        return std::to_string(element->get_int64().value_unsafe());
      case dom::element_type::UINT64:
        return std::to_string(element->get_uint64().value_unsafe());
      case dom::element_type::BOOL:
        return element->get_bool().value_unsafe() ? "true" : "false";
      case dom::element_type::DOUBLE:
        return as_written(pointer);
      default:
        return std::nullopt;
    }
  }

  bool exists(const PointerTokens& pointer) const override {
    const auto element = find(pointer);
    return element && !element->is_null();
  }

  bool is_object() const override { return root_.is_object(); }

 private:
  std::optional<dom::element> find(const PointerTokens& tokens) const {
    std::optional<dom::element> at = root_;
    for (const std::string& token : tokens) {
      if (at = child(*at, token); !at) break;
    }
    return at;
  }

  // 1.10 and 1.1 are the same double, and so are two ids that differ in the twentieth digit.
  std::optional<std::string> as_written(const PointerTokens& tokens) const {
    auto value = find_json(text_, tokens);
    if (!value || value->kind != JsonValue::Kind::kScalar) return std::nullopt;
    return std::move(value->text);
  }

  dom::element root_;
  std::string_view text_;
};

// A text that only the second parser takes. Each question reads it again: slower, but nothing is built from it.
class SlowBody final : public JsonBody {
 public:
  explicit SlowBody(std::string_view text) : text_(text) {}

  std::optional<std::string> scalar(const PointerTokens& pointer) const override {
    auto value = find_json(text_, pointer);
    if (!value || value->kind != JsonValue::Kind::kScalar) return std::nullopt;
    return std::move(value->text);
  }
  bool exists(const PointerTokens& pointer) const override {
    const auto value = find_json(text_, pointer);
    return value && value->kind != JsonValue::Kind::kNull;
  }
  bool is_object() const override {
    const auto root = find_json(text_, {});
    return root && root->kind == JsonValue::Kind::kObject;
  }

 private:
  std::string_view text_;
};

}  // namespace

struct JsonParser::State {
  dom::parser parser;
  std::optional<FastBody> fast;  // the last text is one of the two
  std::optional<SlowBody> slow;

  // Both parsers count in their own way at the limit itself; what simdjson finds too deep the second one decides.
  simdjson::error_code parse(std::string_view text, bool padded, dom::element& root) {
    if (parser.capacity() > kKeptCapacity) parser = dom::parser();
    if (parser.max_depth() != kMaxJsonDepth) {
      if (const auto error = parser.allocate(kInitialCapacity, kMaxJsonDepth)) return error;
    }
    return parser.parse(text.data(), text.size(), !padded).get(root);
  }

  static constexpr size_t kInitialCapacity = 1024;
};

bool is_json(std::string_view text) {
  thread_local JsonParser::State state;
  dom::element root;
  return state.parse(text, false, root) == simdjson::SUCCESS || accepts_json(text);
}

JsonParser::JsonParser() : state_(std::make_unique<State>()) {}
JsonParser::~JsonParser() = default;

Result<const JsonBody*> JsonParser::parse(const std::string& body) {
  dom::element root;
  const bool padded = body.capacity() - body.size() >= simdjson::SIMDJSON_PADDING;
  switch (state_->parse(body, padded, root)) {
    case simdjson::SUCCESS:
      return &state_->fast.emplace(root, body);
    case simdjson::NUMBER_ERROR:
    case simdjson::DEPTH_ERROR:
      if (auto status = check_json(body); !status) return status;
      return &state_->slow.emplace(body);
    case simdjson::MEMALLOC:
      return Status(Code::kUnavailable, "no memory for a JSON text");
    default:
      return Status(Code::kInvalid, "not one JSON text in UTF-8");
  }
}

}  // namespace postern::ingest
