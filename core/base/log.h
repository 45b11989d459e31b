// Log lines: a message for people and fields for programs. On a terminal they read "12:00:01 info  message key=value"; elsewhere
// each line is one JSON object. Every line carries a request_id: that of the request, or the id of the delivery, at hand ("-"
// when there is none). Never give a secret or a signature to a field.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace postern::log {

enum class Level { kTrace, kDebug, kInfo, kWarn, kError };
enum class Style { kTerminal, kJson };

struct Field {
  Field(std::string_view k, std::string_view v) : key(k), text(v) {}
  Field(std::string_view k, const char* v) : key(k), text(v) {}
  Field(std::string_view k, const std::string& v) : key(k), text(v) {}
  template <typename Integer>
    requires std::is_integral_v<Integer>
  Field(std::string_view k, Integer v) : key(k), text(std::to_string(v)), number(true) {}
  std::string_view key;
  std::string text;
  bool number = false;
};

// Where lines go: stderr. Call once at the start; before it, lines of warn and above go to stderr as on a terminal.
void start(Style style, Level level);
// The same for a daemon: a thread of its own writes, and when nobody reads what it writes, the oldest lines are dropped. A log
// that is stuck must not stop the gateway.
void start_in_background(Style style, Level level);
// Writes what waits; nothing is written afterwards. False when that did not come to an end within a second: the process must then
// leave().
bool finish();
// finish(), and the end of the process without destructors: for when a thread cannot be brought to its end.
[[noreturn]] void leave(int status);
void set_level(Level level);
// "trace", "debug", "info", "warn", "error"; anything else is kInfo.
Level to_level(std::string_view name);
bool enabled(Level level);

void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});

inline void debug(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::kDebug, m, f); }
inline void info(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::kInfo, m, f); }
inline void warn(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::kWarn, m, f); }
inline void error(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::kError, m, f); }

// For the time of its life, lines of this thread carry this request id (and plugin).
class Scope {
 public:
  explicit Scope(std::string_view request_id, std::string_view plugin = {});
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  std::string_view outer_request_id_, outer_plugin_;
};

// The same for the plugin alone; the request id stays.
class PluginScope {
 public:
  explicit PluginScope(std::string_view plugin);
  ~PluginScope();
  PluginScope(const PluginScope&) = delete;
  PluginScope& operator=(const PluginScope&) = delete;

 private:
  std::string_view outer_;
};

// At most `per_second` lines a second pass; the number of the others is told with the next one that does. A flood of bad
// requests must not become a flood of lines.
class Throttle {
 public:
  explicit Throttle(uint32_t per_second) : per_second_(per_second) {}
  // Whether to write now; `suppressed` is how many were held back before. One thread at a time.
  bool pass(uint64_t& suppressed);

 private:
  uint32_t per_second_;
  int64_t second_ = 0;
  uint32_t used_ = 0;
  uint64_t suppressed_ = 0;
};

}  // namespace postern::log
