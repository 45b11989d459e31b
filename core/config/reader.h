// Reader: typed values out of a document, with every fault told at its place.
//
//   Section gateway(context, member.value, member.mark, "gateway");
//   gateway.count("loops", config.loops, {0, 256});
//   gateway.list("trusted_proxies", …);
//   // ~Section: every key that was not asked for is a fault, with the ones asked for as suggestions
//
// A reading function leaves its target alone and returns false when the key is absent or its value is faulty; the fault
// has been told then. Faults quote what the file says, never what a reference stands for.
// Thread-safety: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/config/document.h"
#include "core/config/faults.h"
#include "core/config/secrets.h"

namespace postern::config {

struct Context {
  Faults faults;
  Secrets secrets;
};

template <typename T>
struct Range {
  T min;
  T max;
};

// How a scalar is meant: as a text, or as a value with a type, which loses it in quotes (not where a reference needs
// them).
enum class As { kText, kTyped };

// The text of a scalar, references replaced. `what` names the value in faults.
std::optional<std::string> read_text(Context& context, const Node& node, const std::string& what, As as = As::kText);

template <typename T>
std::optional<T> read_value(Context& context, const Node& node, const std::string& what,
                            Result<T> (*parse)(std::string_view), As as = As::kText) {
  const std::optional<std::string> text = read_text(context, node, what, as);
  if (!text) return std::nullopt;
  Result<T> value = parse(*text);
  if (value) return std::move(*value);
  context.faults.add(node.mark, what + ": " + quote(node.text) + " " + value.status().message());
  return std::nullopt;
}

class Section {
 public:
  // A mapping, or null for an empty one; anything else is a fault. `place` is where a missing key is told, `name` is
  // the dotted path in faults ("" for the file itself). The node must outlive the Section.
  Section(Context& context, const Node& node, Mark place, std::string name);
  ~Section();
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

  // Null when absent. The key counts as known from then on.
  const Member* find(std::string_view key);
  // As find; absent is a fault.
  const Member* require(std::string_view key);

  bool text(std::string_view key, std::string& out);    // not empty
  bool secret(std::string_view key, std::string& out);  // visible ASCII; never quoted
  bool flag(std::string_view key, bool& out);
  bool count(std::string_view key, uint32_t& out, Range<uint32_t> range);
  bool count(std::string_view key, uint64_t& out, Range<uint64_t> range);
  bool real(std::string_view key, double& out, Range<double> range);
  bool duration(std::string_view key, std::chrono::milliseconds& out, Range<std::chrono::milliseconds> range);
  bool size(std::string_view key, uint64_t& out, Range<uint64_t> range);
  bool rate(std::string_view key, std::optional<double>& out);  // as "100/s"; in times a second
  bool choice(std::string_view key, std::string& out, const std::vector<std::string>& allowed);
  bool parsed(std::string_view key, std::string& out, Result<std::string> (*parse)(std::string_view));

  // Calls `read` with the mapping under the key, if it is there.
  void section(std::string_view key, const std::function<void(Section&)>& read);
  // Calls `read` for each item of the list under the key ("plugins[2]").
  void list(std::string_view key, const std::function<void(const Node&, const std::string& what)>& read);
  // A list of address ranges.
  bool ranges(std::string_view key, std::vector<std::string>& out);

  Context& context() { return context_; }
  Mark place() const { return place_; }
  std::string path(std::string_view key) const;
  // "NAME.key: message" at the mark.
  void fault(Mark mark, std::string_view key, std::string_view message);

 private:
  template <typename T>
  bool ranged(std::string_view key, T& out, Range<T> range, Result<T> (*parse)(std::string_view), As as,
              std::string (*show)(T));

  Context& context_;
  const Node& node_;
  const Mark place_;
  const std::string name_;
  const bool usable_;  // a mapping or empty; else one fault has said it, and missing keys are no news
  std::vector<std::string> known_;
};

// "a list", "a mapping", "a single value" or "nothing".
std::string_view describe(Kind kind);

}  // namespace postern::config
