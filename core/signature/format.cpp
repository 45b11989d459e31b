#include "core/signature/format.h"

#include <algorithm>
#include <optional>

#include "core/base/encoding.h"
#include "core/http/characters.h"

namespace postern::signature {
namespace {

using Kind = Piece::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_printable(char c) { return c >= 0x20 && c <= 0x7e; }

std::optional<Kind> placeholder(std::string_view name) {
  if (name == "{signature}") return Kind::kSignature;
  if (name == "{timestamp}") return Kind::kTimestamp;
  if (name == "{id}") return Kind::kId;
  if (name == "{body}") return Kind::kBody;
  return std::nullopt;
}

Status invalid(std::string message) { return Status(Code::kInvalid, std::move(message)); }

// What can be read in two ways must not be read at all: a timestamp that runs into a signature, a literal that goes on
// with digits.
Status check_alternative(const Template& pieces) {
  for (const Kind kind : {Kind::kSignature, Kind::kTimestamp}) {
    if (std::count_if(pieces.begin(), pieces.end(), [kind](const Piece& p) { return p.kind == kind; }) > 1) {
      return invalid("format has a placeholder twice in one alternative");
    }
  }
  // Such a scheme would refuse everybody: the blanks around a header's value, or an entry of a list, are not a part of it.
  if (!pieces.empty() && (pieces.front().literal.starts_with(' ') || pieces.back().literal.ends_with(' '))) {
    return invalid("format has an alternative that begins or ends with a blank");
  }
  for (size_t i = 1; i < pieces.size(); ++i) {
    if (pieces[i].kind != Kind::kLiteral && pieces[i - 1].kind != Kind::kLiteral) {
      return invalid("format has two placeholders side by side");
    }
    if (pieces[i - 1].kind == Kind::kTimestamp && is_digit(pieces[i].literal[0])) {
      return invalid("format has a digit right after {timestamp}");
    }
  }
  return Status::ok();
}

Status check_separator(std::string_view separator, const std::vector<Template>& alternatives) {
  if (separator.size() != 1) return invalid("separator is longer than one character");
  const char c = separator[0];
  const bool in_signature =
      is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/' || c == '=';
  if (!is_printable(c) || in_signature)
    return invalid("separator is a character that a signature may have, or not printable");
  for (const Template& pieces : alternatives) {
    for (const Piece& piece : pieces) {
      if (piece.literal.find(c) != std::string::npos) return invalid("separator occurs inside format");
    }
  }
  return Status::ok();
}

}  // namespace

bool contains(const Template& pieces, Kind kind) {
  return std::any_of(pieces.begin(), pieces.end(), [kind](const Piece& piece) { return piece.kind == kind; });
}

Result<Template> parse_template(std::string_view text, std::string_view what, std::span<const Kind> allowed) {
  const std::string name(what);
  Template pieces;
  while (!text.empty()) {
    if (pieces.size() == kMaxPieces) return invalid(name + " has too many parts");
    const size_t brace = text.find_first_of("{}");
    if (brace != 0) {
      pieces.push_back({Kind::kLiteral, std::string(text.substr(0, brace))});
      if (!std::all_of(pieces.back().literal.begin(), pieces.back().literal.end(), is_printable)) {
        return invalid(name + " has a character that is not printable ASCII");
      }
    } else {
      const size_t end = text.find('}');
      if (end == 0 || end == std::string_view::npos) return invalid(name + " has an unmatched brace");
      const auto kind = placeholder(text.substr(0, end + 1));
      if (!kind || std::find(allowed.begin(), allowed.end(), *kind) == allowed.end()) {
        return invalid(name + " has an unknown placeholder " + std::string(text.substr(0, end + 1)));
      }
      pieces.push_back({*kind, {}});
    }
    text.remove_prefix(brace == 0 ? text.find('}') + 1 : std::min(brace, text.size()));
  }
  return pieces;
}

bool is_timestamp(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTimestampDigits && std::all_of(text.begin(), text.end(), is_digit);
}

Result<HeaderFormat> HeaderFormat::parse(const SchemeDescription& description) {
  static constexpr Kind kAllowed[] = {Kind::kSignature, Kind::kTimestamp};
  HeaderFormat format;
  format.encoding_ = description.signature_encoding;
  format.mac_size_ = mac_size(description.algorithm);
  format.text_size_ = format.encoding_ == Encoding::kHex ? 2 * format.mac_size_ : base64_encoded_size(format.mac_size_);

  std::vector<Template> all;
  std::string_view rest = description.format;
  for (bool more = true; more;) {
    const size_t bar = rest.find('|');
    more = bar != std::string_view::npos;
    auto pieces = parse_template(rest.substr(0, bar), "format", kAllowed);
    if (!pieces) return pieces.status();
    if (auto status = check_alternative(*pieces); !status) return status;
    if (more) rest.remove_prefix(bar + 1);
    all.push_back(std::move(*pieces));
  }
  if (!description.separator.empty()) {
    if (auto status = check_separator(description.separator, all); !status) return status;
    format.separator_ = description.separator[0];
  }
  for (Template& pieces : all) {
    const bool signs = contains(pieces, Kind::kSignature), times = contains(pieces, Kind::kTimestamp);
    if (!signs && !times) return invalid("format has an alternative without a placeholder");
    format.has_timestamp_ |= times;
    (signs ? format.signatures_ : format.timestamps_).push_back(std::move(pieces));
  }
  if (auto status = format.check(); !status) return status;
  return format;
}

Status HeaderFormat::check() const {
  if (signatures_.empty()) return invalid("format has no {signature}");
  const auto timed = std::count_if(signatures_.begin(), signatures_.end(),
                                   [](const Template& pieces) { return contains(pieces, Kind::kTimestamp); });
  const bool some_timed = timed > 0, all_timed = timed == static_cast<std::ptrdiff_t>(signatures_.size());
  if (some_timed && (!all_timed || !timestamps_.empty()))
    return invalid("format has {timestamp} in more than one role");
  if (!timestamps_.empty() && separator_ == '\0') {
    return invalid("format has {timestamp} apart from {signature}, which needs a separator");
  }
  return Status::ok();
}

bool HeaderFormat::match(std::string_view value, Candidates& out) const {
  out.count = 0;
  return (separator_ == '\0' ? match_entry(value, out) : match_list(value, out)) && out.count > 0;
}

bool HeaderFormat::match_list(std::string_view value, Candidates& out) const {
  std::string_view timestamp;
  size_t entries = 0, timestamps = 0;
  for (bool more = true; more;) {
    if (++entries > kMaxEntries) return false;
    const size_t end = value.find(separator_);
    more = end != std::string_view::npos;
    const std::string_view entry = http::trim_white_space(value.substr(0, end));
    if (more) value.remove_prefix(end + 1);
    if (match_entry(entry, out)) continue;
    Candidate found;
    for (const Template& alternative : timestamps_) {
      if (!fits(alternative, entry, found)) continue;
      timestamp = found.timestamp;
      ++timestamps;
      break;
    }
  }
  if (timestamps_.empty()) return true;
  // With two of them it would be the sender's or the attacker's choice which one is signed and which one is fresh.
  if (timestamps != 1) return false;
  for (size_t i = 0; i < out.count; ++i) out.list[i].timestamp = timestamp;
  return true;
}

bool HeaderFormat::match_entry(std::string_view entry, Candidates& out) const {
  for (const Template& alternative : signatures_) {
    if (!fits(alternative, entry, out.list[out.count])) continue;
    ++out.count;
    return true;
  }
  return false;
}

bool HeaderFormat::fits(const Template& alternative, std::string_view entry, Candidate& found) const {
  found.timestamp = {};
  for (const Piece& piece : alternative) {
    size_t size = piece.literal.size();
    if (piece.kind == Kind::kLiteral) {
      if (!entry.starts_with(piece.literal)) return false;
    } else if (piece.kind == Kind::kSignature) {
      size = text_size_;
      if (entry.size() < size || !decode(entry.substr(0, size), found.signature)) return false;
    } else {
      size = std::min(entry.size(),
                      static_cast<size_t>(std::find_if_not(entry.begin(), entry.end(), is_digit) - entry.begin()));
      found.timestamp = entry.substr(0, size);
      if (!is_timestamp(found.timestamp)) return false;
    }
    entry.remove_prefix(size);
  }
  return entry.empty();
}

bool HeaderFormat::decode(std::string_view text, Mac& out) const {
  const std::span<unsigned char> bytes(out.data(), mac_size_);
  return encoding_ == Encoding::kHex ? decode_hex(text, bytes) : decode_base64(text, bytes);
}

std::string HeaderFormat::build(const Mac& signature, std::string_view timestamp) const {
  std::string value;
  if (!timestamps_.empty()) {
    append(timestamps_.front(), signature, timestamp, value);
    value += separator_;
  }
  append(signatures_.front(), signature, timestamp, value);
  return value;
}

void HeaderFormat::append(const Template& alternative, const Mac& signature, std::string_view timestamp,
                          std::string& out) const {
  const std::span<const unsigned char> bytes(signature.data(), mac_size_);
  for (const Piece& piece : alternative) {
    if (piece.kind == Kind::kLiteral) {
      out += piece.literal;
    } else if (piece.kind == Kind::kTimestamp) {
      out += timestamp;
    } else {
      out += encoding_ == Encoding::kHex ? encode_hex(bytes) : encode_base64(bytes);
    }
  }
}

}  // namespace postern::signature
