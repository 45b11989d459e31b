// Template: a Mustache template, compiled once. {{event.data.from}}, {{#items}}…{{/items}}, {{^none}}…{{/none}}, {{{unescaped}}}, comments.
// No partials and no other delimiters: the one reads what is not in the configuration, the other only hides what a template does.
//
// What is rendered comes from outside, so rendering is bounded in output, depth and work. Errors: throws TemplateFault when it is compiled,
// Refused when it is rendered. Thread-safety: any thread.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace smtp {

enum class TemplateKind {
  kText,     // as it is
  kSubject,  // as it is, on one line: line breaks and other control characters of the values become one blank
  kHtml,     // & < > " ' are escaped, but in {{{…}}} and {{&…}}
};

// Reads "line 3, column 7: the section 'items' is not closed".
struct TemplateFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Template {
 public:
  static constexpr size_t kMaxSource = 256 << 10, kMaxOutput = 1 << 20;

  Template(TemplateKind kind, std::string_view source);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  std::string render(const nlohmann::json& values) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace smtp
