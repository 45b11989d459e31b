// Selection: the filters that `dead` and `events replay` share, as options and as the admin API takes them.
// Thread-safety: main's thread.
#pragma once

#include <CLI/App.hpp>
#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

#include "core/base/status.h"

namespace postern::cli {

struct SelectionOptions {
  std::string plugin, type, since, until, error;
  bool all = false;

  bool is_empty() const { return plugin.empty() && type.empty() && since.empty() && until.empty() && error.empty(); }
};

// `when`: what --since and --until are about: "died" or "came".
void add_selection(CLI::App& command, SelectionOptions& options, const std::string& when);

// Into the body of a request; kInvalid with a text for people when a time is none.
Status to_body(const SelectionOptions& options, nlohmann::json& body);

// "2026-11-20T13:00:00Z" (RFC 3339), "2026-11-20 13:00[:00]" in local time, or an age before `now_ms`: "2h", "3d". Unix milliseconds.
Result<int64_t> parse_time(const std::string& text, int64_t now_ms);

}  // namespace postern::cli
