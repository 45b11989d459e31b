// Body: an event's body as JSON. Errors: throws postern::Dead for what is no JSON object, std::bad_alloc.
// Thread-safety: one thread at a time.
#pragma once

#include <simdjson.h>

#include <string_view>

namespace openphone {

class Body {
 public:
  explicit Body(std::string_view text);
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  // It and every text in it live as long as the body; `text` itself need not.
  simdjson::dom::object root() const { return root_; }

 private:
  simdjson::dom::parser parser_;
  simdjson::dom::object root_;
};

}  // namespace openphone
