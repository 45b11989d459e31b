// Filter: a subscription's `when:`, asked of an event before it is stored. Content: what filters look at, taken apart when the first asks.
// Thread-safety: a Filter is constant; a Content belongs to one thread, and only one is in use on it at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/config/config.h"
#include "core/http/form.h"
#include "core/http/request.h"
#include "core/ingest/event.h"
#include "core/ingest/json_body.h"

namespace postern::ingest {

class Content {
 public:
  explicit Content(const NewEvent& event) : event_(event) {}

  // Null where the body is not such a one.
  const JsonBody* json();
  const http::Form* form();
  const http::Request& head();

 private:
  const NewEvent& event_;
  bool parsed_ = false;
  const JsonBody* json_ = nullptr;
  bool form_known_ = false;
  std::optional<http::Form> form_;
  std::optional<http::Request> head_;
};

class Filter {
 public:
  // No conditions: everything passes. Fails where a JSON pointer is none; `at` is then the condition's index.
  static Result<Filter> make(std::vector<config::Condition> conditions, size_t* at = nullptr);

  bool passes(Content& content) const;

 private:
  struct Test {
    config::Condition condition;
    PointerTokens pointer;  // kJson: the name, taken apart
  };
  static bool holds(const Test& test, Content& content);

  std::vector<Test> tests_;
};

}  // namespace postern::ingest
