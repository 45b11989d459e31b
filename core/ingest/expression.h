// Expression: where a value is found in a request, as plugins write it: "json:/data/id|header:x-id", "header:a+json:/b".
// The grammar is in sdk/include/postern/ext/routes.h.
// Thread-safety: const access from any thread after parse().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/http/form.h"
#include "core/http/request.h"
#include "core/http/router.h"
#include "core/ingest/json_body.h"

namespace postern::ingest {

// What an expression may look at. `json` and `form` are null where the body is not such a one.
struct Subject {
  const http::Request& request;
  const http::PathParameters& path;
  const JsonBody* json = nullptr;
  const http::Form* form = nullptr;
};

class Expression {
 public:
  enum class Source { kJson, kHeader, kPath, kQuery, kForm, kConst };
  struct Part {
    Source source;
    std::string name;
    PointerTokens pointer;  // kJson: the name, taken apart
  };
  // The values of the parts, joined; part() keeps them apart, so that ("a:b", "c") and ("a", "b:c") stay different keys.
  struct Value {
    std::string text;           // parts joined by ':'
    std::vector<size_t> ends;   // in `text`, of all parts but the last

    size_t size() const { return ends.size() + 1; }
    std::string_view part(size_t i) const {
      size_t begin = i == 0 ? 0 : ends[i - 1] + 1;
      return std::string_view(text).substr(begin, i == ends.size() ? std::string_view::npos : ends[i] - begin);
    }
  };

  // An empty text is an expression that finds nothing.
  static Result<Expression> parse(std::string_view text);

  bool empty() const { return alternatives_.empty(); }
  bool uses(Source source) const;
  const std::vector<std::vector<Part>>& alternatives() const { return alternatives_; }

  // The first alternative of which at least one part is there and not empty; its absent parts count as empty.
  std::optional<Value> evaluate(const Subject& subject) const;

 private:
  std::vector<std::vector<Part>> alternatives_;
};

}  // namespace postern::ingest
