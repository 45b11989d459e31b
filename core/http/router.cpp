#include "core/http/router.h"

#include <algorithm>

#include "core/http/characters.h"
#include "core/http/target.h"

namespace postern::http {
namespace {

bool is_parameter_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || is_char(c, kDigitChar); });
}

// A literal must be what decode_path() can produce, else its route could never be reached.
bool is_literal(std::string_view text) {
  return text != "." && text != ".." && all_chars(text, kTargetChar) &&
         text.find_first_of("{}%?\\") == std::string_view::npos;
}

Status invalid(std::string_view path_template, std::string_view fault) {
  return {Code::kInvalid, "route \"" + std::string(path_template) + "\": " + std::string(fault)};
}

struct TemplateSegment {
  std::string text;  // a literal, or the name of a parameter
  bool is_parameter = false;
};

Result<std::vector<TemplateSegment>> parse_template(std::string_view path_template) {
  if (path_template.empty() || path_template.front() != '/') return invalid(path_template, "must begin with '/'");
  std::vector<TemplateSegment> out;
  for (std::string_view rest = path_template; !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view text = rest.substr(0, rest.find('/'));
    rest.remove_prefix(text.size());
    if (text.empty() && !rest.empty()) return invalid(path_template, "has an empty segment");
    if (text.size() >= 2 && text.front() == '{' && text.back() == '}') {
      const std::string name(text.substr(1, text.size() - 2));
      if (!is_parameter_name(name)) return invalid(path_template, "\"" + name + "\" is no parameter name");
      for (const TemplateSegment& earlier : out) {
        if (earlier.is_parameter && earlier.text == name) {
          return invalid(path_template, "has two parameters \"" + name + "\"");
        }
      }
      out.push_back({name, true});
    } else if (is_literal(text)) {
      out.push_back({std::string(text), false});
    } else {
      return invalid(path_template, "\"" + std::string(text) + "\" is neither a literal segment nor {name}");
    }
  }
  return out;
}

}  // namespace

Status Router::add(std::string_view method, std::string_view path_template, Id id) {
  if (method.empty() || !all_chars(method, kTokenChar)) return invalid(path_template, "malformed method");
  Result<std::vector<TemplateSegment>> segments = parse_template(path_template);
  if (!segments) return segments.status();

  Node* node = &root_;
  std::vector<std::string> names;
  for (TemplateSegment& segment : *segments) {
    std::unique_ptr<Node>& next = segment.is_parameter ? node->parameter : node->literals[segment.text];
    if (!next) next = std::make_unique<Node>();
    if (segment.is_parameter) names.push_back(std::move(segment.text));
    node = next.get();
  }
  const bool plain = names.empty();
  if (!node->methods.try_emplace(std::string(method), Node::Leaf{id, std::move(names)}).second) {
    return {Code::kConflict,
            "route \"" + std::string(path_template) + "\": there is another one for " + std::string(method)};
  }
  if (plain) plain_[std::string(path_template)].try_emplace(std::string(method), id);
  return Status::ok();
}

// Depth is bounded by the longest template, and each node is visited at most once.
const Router::Node* Router::find(const Node& node, const std::vector<std::string>& segments, size_t at,
                                 std::vector<std::string>& values) const {
  if (at == segments.size()) return node.methods.empty() ? nullptr : &node;
  const std::string& segment = segments[at];
  if (const auto literal = node.literals.find(segment); literal != node.literals.end()) {
    if (const Node* found = find(*literal->second, segments, at + 1, values)) return found;
  }
  if (!node.parameter || segment.empty()) return nullptr;
  values.push_back(segment);
  const Node* found = find(*node.parameter, segments, at + 1, values);
  if (found == nullptr) values.pop_back();
  return found;
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  Match out;
  if (path == "*") return out;  // OPTIONS * asks about the server as a whole
  if (const auto plain = plain_.find(path); plain != plain_.end()) {
    if (const auto leaf = plain->second.find(method); leaf != plain->second.end()) {
      out.kind = Match::Kind::kFound;
      out.id = leaf->second;
      return out;
    }
  }
  const std::optional<std::vector<std::string>> segments = decode_path(path);
  if (!segments) {
    out.kind = Match::Kind::kBadPath;
    return out;
  }
  std::vector<std::string> values;
  const Node* node = find(root_, *segments, 0, values);
  if (node == nullptr) return out;

  const auto leaf = node->methods.find(method);
  if (leaf == node->methods.end()) {
    out.kind = Match::Kind::kNoMethod;
    for (const auto& [name, unused] : node->methods) out.allow.append(out.allow.empty() ? "" : ", ").append(name);
    return out;
  }
  out.kind = Match::Kind::kFound;
  out.id = leaf->second.id;
  for (size_t i = 0; i < values.size(); ++i) out.parameters.emplace_back(leaf->second.names[i], std::move(values[i]));
  return out;
}

}  // namespace postern::http
