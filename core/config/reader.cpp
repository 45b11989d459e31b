#include "core/config/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/addresses.h"
#include "core/config/suggest.h"
#include "core/config/values.h"

namespace postern::config {

namespace {

using std::chrono::milliseconds;

std::string show_count(uint64_t value) { return std::to_string(value); }
std::string show_real(double value) { return fmt::format("{:g}", value); }

std::string show_size(uint64_t bytes) {
  if (bytes >= 1 << 20 && bytes % (1 << 20) == 0) return fmt::format("{}MiB", bytes >> 20);
  if (bytes >= 1 << 10 && bytes % (1 << 10) == 0) return fmt::format("{}KiB", bytes >> 10);
  return std::to_string(bytes);
}

std::string show_duration(milliseconds value) {
  const int64_t ms = value.count();
  if (ms == 0) return "0";
  if (ms % 86400000 == 0) return fmt::format("{}d", ms / 86400000);
  if (ms % 3600000 == 0) return fmt::format("{}h", ms / 3600000);
  if (ms % 60000 == 0) return fmt::format("{}m", ms / 60000);
  return ms % 1000 == 0 ? fmt::format("{}s", ms / 1000) : fmt::format("{}ms", ms);
}

}  // namespace

std::string_view describe(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "a single value";
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
  }
  return "nothing";
}

std::optional<std::string> read_text(Context& context, const Node& node, const std::string& what, As as) {
  if (node.kind != Kind::kScalar) {
    context.faults.add(node.mark, fmt::format("{} must be a single value, not {}", what, describe(node.kind)));
    return std::nullopt;
  }
  if (as == As::kTyped && !node.plain && !has_reference(node.text)) {
    context.faults.add(node.mark, what + " must not be a string; write it without quotes");
    return std::nullopt;
  }
  Result<std::string> text = context.secrets.resolve(node.text);
  if (!text) {
    context.faults.add(node.mark, what + ": " + text.status().message());
    return std::nullopt;
  }
  if (text->find('\0') != std::string::npos) {
    context.faults.add(node.mark, what + " must not contain NUL");
    return std::nullopt;
  }
  return std::move(*text);
}

Section::Section(Context& context, const Node& node, Mark place, std::string name)
    : context_(context),
      node_(node),
      place_(place),
      name_(std::move(name)),
      usable_(node.kind == Kind::kMapping || node.kind == Kind::kNull) {
  if (usable_) return;
  context_.faults.add(node.mark, fmt::format("{} must be a mapping (key: value), not {}",
                                             name_.empty() ? "the file" : name_, describe(node.kind)));
}

Section::~Section() {
  for (const Member& member : node_.members)
    if (std::find(known_.begin(), known_.end(), member.key) == known_.end())
      context_.faults.add(member.mark, "unknown key " + quote(member.key) + suggest(member.key, known_));
}

std::string Section::path(std::string_view key) const {
  return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
}

void Section::fault(Mark mark, std::string_view key, std::string_view message) {
  context_.faults.add(mark, fmt::format("{}: {}", path(key), message));
}

const Member* Section::find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  for (const Member& member : node_.members)
    if (member.key == key) return &member;
  return nullptr;
}

const Member* Section::require(std::string_view key) {
  const Member* member = find(key);
  if (!member && usable_) context_.faults.add(place_, path(key) + " is missing");
  return member;
}

bool Section::text(std::string_view key, std::string& out) {
  const Member* member = find(key);
  if (!member) return false;
  std::optional<std::string> text = read_text(context_, *member->value, path(key));
  if (!text) return false;
  if (text->empty()) {
    fault(member->value->mark, key, "must not be empty");
    return false;
  }
  out = std::move(*text);
  return true;
}

bool Section::secret(std::string_view key, std::string& out) {
  const Member* member = find(key);
  if (!member) return false;
  std::optional<std::string> text = read_text(context_, *member->value, path(key));
  if (!text) return false;
  const auto visible = [](char c) { return c > 0x20 && c < 0x7F; };
  if (text->empty() || !std::all_of(text->begin(), text->end(), visible)) {
    fault(member->value->mark, key, text->empty() ? "must not be empty" : "must be visible ASCII without spaces");
    return false;
  }
  out = std::move(*text);
  return true;
}

bool Section::flag(std::string_view key, bool& out) {
  const Member* member = find(key);
  if (!member) return false;
  const std::optional<bool> value = read_value(context_, *member->value, path(key), parse_flag, As::kTyped);
  if (value) out = *value;
  return value.has_value();
}

template <typename T>
bool Section::ranged(std::string_view key, T& out, Range<T> range, Result<T> (*parse)(std::string_view), As as,
                     std::string (*show)(T)) {
  const Member* member = find(key);
  if (!member) return false;
  const std::optional<T> value = read_value(context_, *member->value, path(key), parse, as);
  if (!value) return false;
  if (*value < range.min || *value > range.max) {
    fault(member->value->mark, key,
          fmt::format("{} is out of range; it goes from {} to {}", quote(member->value->text), show(range.min),
                      show(range.max)));
    return false;
  }
  out = *value;
  return true;
}

bool Section::count(std::string_view key, uint64_t& out, Range<uint64_t> range) {
  return ranged<uint64_t>(key, out, range, parse_count, As::kTyped, show_count);
}

bool Section::count(std::string_view key, uint32_t& out, Range<uint32_t> range) {
  uint64_t value = 0;
  if (!count(key, value, Range<uint64_t>{range.min, range.max})) return false;
  out = static_cast<uint32_t>(value);
  return true;
}

bool Section::real(std::string_view key, double& out, Range<double> range) {
  return ranged<double>(key, out, range, parse_real, As::kTyped, show_real);
}

bool Section::duration(std::string_view key, milliseconds& out, Range<milliseconds> range) {
  return ranged<milliseconds>(key, out, range, parse_duration, As::kText, show_duration);
}

bool Section::size(std::string_view key, uint64_t& out, Range<uint64_t> range) {
  return ranged<uint64_t>(key, out, range, parse_size, As::kText, show_size);
}

bool Section::rate(std::string_view key, std::optional<double>& out) {
  const Member* member = find(key);
  if (!member) return false;
  const std::optional<double> value = read_value(context_, *member->value, path(key), parse_rate);
  if (value) out = value;
  return value.has_value();
}

bool Section::choice(std::string_view key, std::string& out, const std::vector<std::string>& allowed) {
  const Member* member = find(key);
  std::string value;
  if (!member || !text(key, value)) return false;
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    // A near miss of a replaced reference would tell what it stands for.
    const std::string& written = member->value->text;
    fault(member->value->mark, key, quote(written) + " is not known" + suggest(written, allowed));
    return false;
  }
  out = std::move(value);
  return true;
}

bool Section::parsed(std::string_view key, std::string& out, Result<std::string> (*parse)(std::string_view)) {
  const Member* member = find(key);
  if (!member) return false;
  std::optional<std::string> value = read_value(context_, *member->value, path(key), parse);
  if (value) out = std::move(*value);
  return value.has_value();
}

void Section::section(std::string_view key, const std::function<void(Section&)>& read) {
  const Member* member = find(key);
  if (!member) return;
  Section inner(context_, *member->value, member->mark, path(key));
  read(inner);
}

void Section::list(std::string_view key, const std::function<void(const Node&, const std::string&)>& read) {
  const Member* member = find(key);
  if (!member || member->value->kind == Kind::kNull) return;
  if (member->value->kind != Kind::kSequence) {
    context_.faults.add(member->value->mark,
                        fmt::format("{} must be a list, not {}", path(key), describe(member->value->kind)));
    return;
  }
  const std::vector<NodePtr>& items = member->value->items;
  for (size_t i = 0; i < items.size(); ++i) read(*items[i], fmt::format("{}[{}]", path(key), i));
}

bool Section::ranges(std::string_view key, std::vector<std::string>& out) {
  if (!find(key)) return false;
  std::vector<std::string> all;
  list(key, [&](const Node& node, const std::string& what) {
    if (std::optional<std::string> range = read_value(context_, node, what, parse_cidr))
      all.push_back(std::move(*range));
  });
  out = std::move(all);
  return true;
}

}  // namespace postern::config
