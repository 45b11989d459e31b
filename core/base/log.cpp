#include "core/base/log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <thread>
#include <utility>

#include "core/base/clock.h"
#include "core/base/json_text.h"

namespace postern::log {
namespace {

thread_local std::string_view current_request_id = "-";
thread_local std::string_view current_plugin;
Style style = Style::kTerminal;
std::atomic<bool> finished{false};  // nothing is written any more

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kTrace: return spdlog::level::trace;
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarn: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kTrace: return "trace";
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarn: return "warn";
    case Level::kError: return "error";
  }
  return "error";
}

std::string utc_now() {
  int64_t now = wall_ms();
  std::string text = iso8601(now);
  text.pop_back();
  return fmt::format("{}.{:03}Z", text, now % 1000);
}

std::string as_json(Level level, std::string_view message, std::initializer_list<Field> fields) {
  std::string line = "{\"time\":\"" + utc_now() + "\",\"level\":\"" + std::string(name_of(level)) + "\",\"message\":";
  append_json_string(message, line);
  auto add = [&line](std::string_view key, std::string_view text, bool number) {
    line += ',';
    append_json_string(key, line);
    line += ':';
    if (number) {
      line += text;
    } else {
      append_json_string(text, line);
    }
  };
  add("request_id", current_request_id, false);
  if (!current_plugin.empty()) add("plugin", current_plugin, false);
  for (const Field& field : fields) add(field.key, field.text, field.number);
  return line + '}';
}

std::string as_text(std::string_view message, std::initializer_list<Field> fields) {
  std::string line;
  append_printable(message, line);
  auto add = [&line](std::string_view key, std::string_view text) {
    line += "  ";
    line += key;
    line += '=';
    append_printable(text, line);
  };
  for (const Field& field : fields) add(field.key, field.text);
  if (!current_plugin.empty()) add("plugin", current_plugin);
  if (current_request_id != "-") add("request_id", current_request_id);
  return line;
}

void use(Style wanted, Level level, std::shared_ptr<spdlog::logger> logger) {
  style = wanted;
  logger->set_pattern(style == Style::kJson ? "%v" : "%H:%M:%S.%e %^%-5l%$ %v");
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(logger);
  set_level(level);
}

// Before anybody starts it, spdlog would write to stdout, from info on.
const bool started_early = (start(Style::kTerminal, Level::kWarn), true);

}  // namespace

void start(Style wanted, Level level) {
  use(wanted, level, std::make_shared<spdlog::logger>("postern", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()));
}

void start_in_background(Style wanted, Level level) {
  constexpr size_t kLines = 2048;
  spdlog::init_thread_pool(kLines, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  use(wanted, level, std::make_shared<spdlog::async_logger>("postern", sink, spdlog::thread_pool(),
                                                           spdlog::async_overflow_policy::overrun_oldest));
}

bool finish() {
  finished = true;
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> ended = done->get_future();
  std::thread([done] {
    // Not spdlog::shutdown(): that drops the logger while the writing thread may still use it. The pool's end waits for that thread.
    auto pool = spdlog::thread_pool();
    spdlog::details::registry::instance().set_tp(nullptr);
    pool.reset();
    done->set_value();
  }).detach();  // it hangs where the reader of the log does
  return ended.wait_for(std::chrono::seconds(1)) == std::future_status::ready;
}

void leave(int status) {
  static_cast<void>(finished || finish());
  ::syscall(SYS_exit_group, status);  // _exit() of a sanitizer would flush stderr, which may be what is stuck
  std::abort();
}

Level to_level(std::string_view name) {
  if (name == "trace") return Level::kTrace;
  if (name == "debug") return Level::kDebug;
  if (name == "warn") return Level::kWarn;
  if (name == "error") return Level::kError;
  return Level::kInfo;
}

void set_level(Level level) { spdlog::set_level(to_spdlog(level)); }

bool enabled(Level level) { return spdlog::should_log(to_spdlog(level)); }

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (finished || !enabled(level)) return;
  spdlog::log(to_spdlog(level), "{}", style == Style::kJson ? as_json(level, message, fields) : as_text(message, fields));
}

Scope::Scope(std::string_view request_id, std::string_view plugin)
    : outer_request_id_(current_request_id), outer_plugin_(current_plugin) {
  current_request_id = request_id;
  if (!plugin.empty()) current_plugin = plugin;
}

Scope::~Scope() {
  current_request_id = outer_request_id_;
  current_plugin = outer_plugin_;
}

PluginScope::PluginScope(std::string_view plugin) : outer_(current_plugin) { current_plugin = plugin; }
PluginScope::~PluginScope() { current_plugin = outer_; }

bool Throttle::pass(uint64_t& suppressed) {
  int64_t second = steady_ms() / 1000;
  if (second != second_) {
    second_ = second;
    used_ = 0;
  }
  if (used_ >= per_second_) {
    ++suppressed_;
    return false;
  }
  ++used_;
  suppressed = std::exchange(suppressed_, 0);
  return true;
}

}  // namespace postern::log
