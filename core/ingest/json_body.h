// JsonBody: a request body parsed as JSON, read by JSON pointers (RFC 6901). Depth is limited to 64; numbers that do not fit 64
// bits are kept by a second, slower parser. Thread-safety: one thread at a time; reuse one JsonParser per thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/ingest/json_pointer.h"

namespace postern::ingest {

class JsonBody {
 public:
  virtual ~JsonBody() = default;
  // The scalar at `pointer` as text: strings as they are, numbers and booleans as JSON writes them. Nothing for null, objects,
  // arrays and what is not there.
  virtual std::optional<std::string> scalar(const PointerTokens& pointer) const = 0;
  // Whether there is anything but null at `pointer`.
  virtual bool exists(const PointerTokens& pointer) const = 0;
  virtual bool is_object() const = 0;
};

class JsonParser {
 public:
  JsonParser();
  ~JsonParser();
  JsonParser(const JsonParser&) = delete;
  JsonParser& operator=(const JsonParser&) = delete;

  // The result borrows `body` and this parser, until the next parse(). Fails for anything that is not one JSON text in UTF-8.
  Result<const JsonBody*> parse(const std::string& body);

 private:
  friend bool is_json(std::string_view text);
  struct State;
  std::unique_ptr<State> state_;
};

// Whether it is one JSON text, of whatever depth. Any thread.
bool is_json(std::string_view text);

}  // namespace postern::ingest
