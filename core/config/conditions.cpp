// when: of a subscription — which of the events that have its type it is given.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/config/sections.h"

namespace postern::config {
namespace {

constexpr size_t kMaxConditions = 16;
constexpr size_t kMaxTexts = 100;
constexpr size_t kMaxText = 1024;
constexpr double kMaxNumber = 1e300;

constexpr std::pair<std::string_view, Condition::Source> kSources[] = {
    {"json", Condition::Source::kJson}, {"form", Condition::Source::kForm}, {"header", Condition::Source::kHeader}};

void read_one(Section& entry, std::string_view key, const Node& node, std::vector<std::string>& out) {
  std::optional<std::string> text = read_text(entry.context(), node, entry.path(key));
  if (!text) return;
  if (text->size() > kMaxText) return entry.fault(node.mark, key, fmt::format("must be at most {} bytes", kMaxText));
  out.push_back(std::move(*text));
}

// A text, or a list of texts. Read as they are written: `is: true` is the text "true", as JSON writes it.
bool read_texts(Section& entry, std::string_view key, std::vector<std::string>& out) {
  const Member* member = entry.find(key);
  if (!member) return false;
  const Node& value = *member->value;
  if (value.kind != Kind::kSequence) return read_one(entry, key, value, out), true;
  if (value.items.empty() || value.items.size() > kMaxTexts)
    return entry.fault(value.mark, key, fmt::format("must be one text, or a list of 1 to {}", kMaxTexts)), true;
  for (const NodePtr& item : value.items) read_one(entry, key, *item, out);
  return true;
}

void tell(Section& entry, const std::string& what, std::string_view fault) {
  entry.context().faults.add(entry.place(), what + std::string(fault));
}

void read_source(Section& entry, const std::string& what, Condition& condition) {
  size_t given = 0;
  for (const auto& [key, source] : kSources) {
    if (!entry.find(key)) continue;
    ++given;
    condition.source = source;
    entry.text(key, condition.name);
  }
  if (given != 1) tell(entry, what, " needs one of json, form, header: where the value is");
}

bool read_number(Section& entry, std::string_view key, std::optional<double>& out) {
  if (!entry.find(key)) return false;
  double number = 0;
  if (entry.real(key, number, {-kMaxNumber, kMaxNumber})) out = number;
  return true;
}

Condition read_condition(Section& entry, const std::string& what) {
  Condition condition;
  condition.mark = entry.place();
  read_source(entry, what, condition);
  bool tests = read_texts(entry, "is", condition.is);
  tests = read_texts(entry, "is_not", condition.is_not) || tests;
  if (entry.find("exists")) {
    bool exists = true;
    tests = true;
    if (entry.flag("exists", exists)) condition.exists = exists;
  }
  tests = read_number(entry, "at_least", condition.at_least) || tests;
  tests = read_number(entry, "at_most", condition.at_most) || tests;
  if (!tests) tell(entry, what, " needs a test: is, is_not, exists, at_least or at_most");
  if (condition.at_least && condition.at_most && *condition.at_least > *condition.at_most)
    tell(entry, what, ": at_least is more than at_most, so it would never hold");
  return condition;
}

}  // namespace

void read_conditions(Section& subscription, std::vector<Condition>& out) {
  subscription.list("when", [&](const Node& node, const std::string& what) {
    Section entry(subscription.context(), node, node.mark, what);
    out.push_back(read_condition(entry, what));
  });
  if (out.size() > kMaxConditions)
    subscription.fault(out[kMaxConditions].mark, "when", fmt::format("has at most {} conditions", kMaxConditions));
}

}  // namespace postern::config
