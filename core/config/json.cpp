#include "core/config/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "core/config/values.h"

namespace postern::config {

namespace {

using nlohmann::json;

bool all_of(std::string_view text, std::string_view set) {
  return !text.empty() && text.find_first_not_of(set) == text.npos;
}

// Long keys over many items repeat in every pointer: a file of 1 MiB could ask for gigabytes.
constexpr size_t kMaxPointerBytes = 16 << 20;

constexpr std::string_view kDigits = "0123456789";

bool is_whole(std::string_view text) {
  if (text.starts_with("0o")) return all_of(text.substr(2), "01234567");
  if (text.starts_with("0x")) return all_of(text.substr(2), "0123456789abcdefABCDEF");
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return all_of(text, kDigits);
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool is_float(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const auto digits = [&] {
    const size_t n = std::min(text.find_first_not_of(kDigits), text.size());
    text.remove_prefix(n);
    return n > 0;
  };
  const bool before = digits();
  bool after = false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    after = digits();
  }
  if (!before && !after) return false;
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return all_of(text, kDigits);
}

bool is_infinite_or_nan(std::string_view text) {
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return true;
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text == ".inf" || text == ".Inf" || text == ".INF";
}

// Discarded (nlohmann's word) when 64 bits do not hold it.
json whole_number(std::string_view text) {
  const int base = text.starts_with("0x") ? 16 : text.starts_with("0o") ? 8 : 10;
  if (base != 10) text.remove_prefix(2);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto parse = [&](auto value) -> json {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size()) return json(json::value_t::discarded);
    return value;
  };
  return text.starts_with('-') ? parse(int64_t{}) : parse(uint64_t{});
}

std::string escaped(std::string_view key) {  // RFC 6901, 3
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

class Converter {
 public:
  Converter(Context& context, const std::string& what, std::map<std::string, Mark>* marks)
      : context_(context), what_(what), marks_(marks) {}

  json convert(const Node& node, const std::string& pointer) {
    switch (node.kind) {
      case Kind::kNull:
        return nullptr;
      case Kind::kScalar:
        return scalar(node, pointer);
      case Kind::kSequence:
        return sequence(node, pointer);
      case Kind::kMapping:
        return mapping(node, pointer);
    }
    return nullptr;
  }

 private:
  json sequence(const Node& node, const std::string& pointer) {
    json out = json::array();
    for (size_t i = 0; i < node.items.size(); ++i)
      out.push_back(child(*node.items[i], node.items[i]->mark, pointer + "/" + std::to_string(i)));
    return out;
  }

  json mapping(const Node& node, const std::string& pointer) {
    json out = json::object();
    for (const Member& member : node.members)
      out[member.key] = child(*member.value, member.mark, pointer + "/" + escaped(member.key));
    return out;
  }

  json child(const Node& node, Mark mark, const std::string& pointer) {
    if (full_) return nullptr;
    pointer_bytes_ += pointer.size();
    if (pointer_bytes_ > kMaxPointerBytes) {
      full_ = true;
      context_.faults.add(mark, what_ + " is too large");
      return nullptr;
    }
    if (marks_) marks_->emplace(pointer, mark);
    return convert(node, pointer);
  }

  json scalar(const Node& node, const std::string& pointer) {
    const std::string& text = node.text;
    if (!node.plain || has_reference(text)) return string(node, pointer);
    if (const Result<bool> flag = parse_flag(text)) return *flag;
    if (is_infinite_or_nan(text)) return fault(node, pointer, "is no number in JSON; quote it to make it a string");
    json number;
    if (is_whole(text)) {
      number = whole_number(text);
    } else if (is_float(text)) {
      const Result<double> real = parse_real(text);
      number = real ? json(*real) : json(json::value_t::discarded);
    } else {
      return string(node, pointer);
    }
    if (number.is_discarded()) return fault(node, pointer, "is too large for a number; quote it to make it a string");
    return number;
  }

  json string(const Node& node, const std::string& pointer) {
    const std::optional<std::string> text = read_text(context_, node, what_ + pointer);
    return text ? json(*text) : json(nullptr);
  }

  json fault(const Node& node, const std::string& pointer, const char* message) {
    context_.faults.add(node.mark, fmt::format("{}{} {}", what_, pointer, message));
    return nullptr;
  }

  Context& context_;
  const std::string what_;
  std::map<std::string, Mark>* marks_;
  size_t pointer_bytes_ = 0;
  bool full_ = false;
};

}  // namespace

std::string mapping_to_json(Context& context, const Node& node, const std::string& what,
                            std::map<std::string, Mark>* marks) {
  if (node.kind == Kind::kNull) return "{}";
  if (node.kind != Kind::kMapping) {
    context.faults.add(node.mark, fmt::format("{} must be a mapping (key: value), not {}", what, describe(node.kind)));
    return "{}";
  }
  // The document and what references stand for are valid UTF-8, so dump() has nothing to throw about.
  return Converter(context, what, marks).convert(node, "").dump();
}

}  // namespace postern::config
