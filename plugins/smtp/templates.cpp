#include "templates.h"

#include <kainjow/mustache.hpp>
#include <mutex>
#include <nlohmann/json.hpp>

#include "refused.h"
#include "template_check.h"

namespace smtp {
namespace {

namespace mustache = kainjow::mustache;
using nlohmann::json;

constexpr size_t kMaxDepth = 64;           // of values
constexpr size_t kMaxSteps = 100'000;      // names looked up, rounds of sections
constexpr size_t kMaxWork = 64u << 20;     // bytes of template gone through

[[noreturn]] void too_much() { throw Refused("the template renders to more than 1 MiB, or takes too long"); }

// What is absent, false, null or empty counts as false, as in mustache.js; 0 is a number like others.
mustache::data to_data(const json& value, size_t depth = 0) {
  if (depth > kMaxDepth) throw Refused("the template's values are nested deeper than 64");
  if (value.is_object()) {
    mustache::data object(mustache::data::type::object);
    for (const auto& [name, member] : value.items()) object[name] = to_data(member, depth + 1);
    return object;
  }
  if (value.is_array()) {
    mustache::list list;
    list.reserve(value.size());
    for (const json& element : value) list.push_back(to_data(element, depth + 1));
    return list;
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (!text.empty()) return text;
  }
  if (value.is_number() || value == true) return value.dump();
  return mustache::data(false);
}

// The values, and how much was done with them: a line without an end is only written when it ends.
class BoundedContext final : public mustache::context<std::string> {
 public:
  BoundedContext(const mustache::data& values, size_t source) : context(&values), source_(source) {}

  void push(const mustache::data* value) override {
    if (++steps_ > kMaxSteps || steps_ * source_ > kMaxWork) too_much();
    context::push(value);
  }
  const mustache::data* get(const std::string& name) const override {
    const mustache::data* found = context::get(name);
    if (found != nullptr && found->is_string()) bytes_ += found->string_value().size();
    if (++lookups_ > kMaxSteps || bytes_ > Template::kMaxOutput) too_much();
    return found;
  }

 private:
  const size_t source_;
  size_t steps_ = 0;
  mutable size_t lookups_ = 0, bytes_ = 0;
};

struct BoundedText {
  std::string text;
  BoundedText& operator<<(const std::string& more) {
    if (text.size() + more.size() > Template::kMaxOutput) too_much();
    text += more;
    return *this;
  }
};

std::string on_one_line(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool control = (c >= 0 && c < ' ') || c == 0x7f;
    if (!control) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace

struct Template::Compiled {
  Compiled(TemplateKind its_kind, std::string_view source) : kind(its_kind), size(source.size()), compiled(std::string(source)) {
    if (!compiled.is_valid()) throw TemplateFault(compiled.error_message());
    if (kind != TemplateKind::kHtml) compiled.set_custom_escape([](const std::string& text) { return text; });
  }
  const TemplateKind kind;
  const size_t size;
  std::mutex mutex;  // the library notes errors of rendering in it
  mustache::mustache compiled;
};

Template::Template(TemplateKind kind, std::string_view source) {
  check_template(source);
  try {
    compiled_ = std::make_unique<Compiled>(kind, source);
  } catch (const std::out_of_range&) {  // the library's own way to meet an end too early
    throw TemplateFault("it ends within a tag");
  }
}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

std::string Template::render(const json& values) const {
  const mustache::data data = to_data(values);
  BoundedContext context(data, compiled_->size);
  BoundedText out;
  {
    const std::lock_guard lock(compiled_->mutex);
    compiled_->compiled.render(context, out);
  }
  return compiled_->kind == TemplateKind::kSubject ? on_one_line(out.text) : std::move(out.text);
}

}  // namespace smtp
