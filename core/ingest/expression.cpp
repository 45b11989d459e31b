#include "core/ingest/expression.h"

#include <algorithm>
#include <utility>

#include "core/http/characters.h"
#include "core/http/target.h"
#include "core/ingest/json_pointer.h"

namespace postern::ingest {
namespace {

using Source = Expression::Source;
using Part = Expression::Part;

Status invalid(std::string_view part, std::string_view why) {
  return Status(Code::kInvalid, "expression '" + std::string(part) + "' " + std::string(why));
}

// The pieces between the dividers; there is always one.
std::vector<std::string_view> split(std::string_view text, char divider) {
  std::vector<std::string_view> pieces;
  for (bool more = true; more;) {
    const size_t end = text.find(divider);
    more = end != std::string_view::npos;
    pieces.push_back(http::trim_white_space(text.substr(0, end)));
    if (more) text.remove_prefix(end + 1);
  }
  return pieces;
}

std::optional<Source> source_of(std::string_view name) {
  constexpr std::pair<std::string_view, Source> kSources[] = {{"json", Source::kJson},
                                                              {"header", Source::kHeader},
                                                              {"path", Source::kPath},
                                                              {"query", Source::kQuery},
                                                              {"form", Source::kForm},
                                                              {"const", Source::kConst}};
  for (const auto& [text, source] : kSources) {
    if (text == name) return source;
  }
  return std::nullopt;
}

Result<Part> parse_part(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return invalid(text, "is not source:name");
  const auto source = source_of(text.substr(0, colon));
  if (!source) return invalid(text, "has an unknown source (json, header, path, query, form, const)");
  const std::string_view name = text.substr(colon + 1);
  if (name.empty()) return invalid(text, "has no name");
  std::optional<PointerTokens> pointer = *source == Source::kJson ? parse_pointer(name) : PointerTokens();
  if (!pointer) return invalid(text, "has no JSON pointer (/a/b/0)");
  if (*source == Source::kHeader && !http::all_chars(name, http::kTokenChar))
    return invalid(text, "has no header name");
  return Part{*source, std::string(name), std::move(*pointer)};
}

Result<std::vector<Part>> parse_alternative(std::string_view text) {
  std::vector<Part> parts;
  for (const std::string_view piece : split(text, '+')) {
    auto part = parse_part(piece);
    if (!part) return part.status();
    parts.push_back(std::move(*part));
  }
  return parts;
}

// Path parameters and forms: of equal names the first counts.
template <typename Pairs>
std::optional<std::string> named(const Pairs& pairs, const std::string& name) {
  const auto found = std::find_if(pairs.begin(), pairs.end(), [&](const auto& entry) { return entry.first == name; });
  return found == pairs.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> look_up(const Part& part, const Subject& subject) {
  switch (part.source) {
    case Source::kJson:
      return subject.json ? subject.json->scalar(part.pointer) : std::nullopt;
    case Source::kHeader: {
      const auto value = subject.request.header(part.name);
      return value ? std::optional(std::string(*value)) : std::nullopt;
    }
    case Source::kPath:
      return named(subject.path, part.name);
    case Source::kQuery:
      return http::query_parameter(subject.request.query(), part.name);
    case Source::kForm:
      return subject.form ? named(*subject.form, part.name) : std::nullopt;
    case Source::kConst:
      return part.name;
  }
  return std::nullopt;
}

bool is_const(const Part& part) { return part.source == Source::kConst; }

// A constant is always there, so it says nothing about the request: beside other parts it does not count, or every
// request without the others would have one and the same id, and all but the first would be dropped as duplicates.
std::optional<Expression::Value> evaluate_alternative(const std::vector<Part>& parts, const Subject& subject) {
  const bool all_const = std::all_of(parts.begin(), parts.end(), is_const);
  bool there = false;
  Expression::Value value;
  for (size_t i = 0; i < parts.size(); ++i) {
    std::optional<std::string> text = look_up(parts[i], subject);
    there |= text && !text->empty() && (all_const || !is_const(parts[i]));
    if (i > 0) {
      value.ends.push_back(value.text.size());
      value.text += ':';
    }
    if (!text) continue;
    value.text.empty() ? value.text.swap(*text) : void(value.text += *text);
  }
  if (!there) return std::nullopt;
  return value;
}

}  // namespace

Result<Expression> Expression::parse(std::string_view text) {
  Expression expression;
  if (http::trim_white_space(text).empty()) return expression;
  for (const std::string_view piece : split(text, '|')) {
    auto parts = parse_alternative(piece);
    if (!parts) return parts.status();
    expression.alternatives_.push_back(std::move(*parts));
  }
  return expression;
}

bool Expression::uses(Source source) const {
  return std::any_of(alternatives_.begin(), alternatives_.end(), [source](const std::vector<Part>& parts) {
    return std::any_of(parts.begin(), parts.end(), [source](const Part& part) { return part.source == source; });
  });
}

std::optional<Expression::Value> Expression::evaluate(const Subject& subject) const {
  for (const std::vector<Part>& parts : alternatives_) {
    if (auto value = evaluate_alternative(parts, subject)) return value;
  }
  return std::nullopt;
}

}  // namespace postern::ingest
