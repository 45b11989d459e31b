#include "core/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/base/json_text.h"

namespace postern::cli {
namespace {

bool colours() {
  static const bool wanted = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  return wanted;
}

// Columns on the screen: continuation bytes of UTF-8 take none.
size_t width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string paint(std::string_view text, Colour colour) {
  if (!colours() || colour == Colour::kNone) return std::string(text);
  const char* code = "0";
  switch (colour) {
    case Colour::kGreen: code = "32"; break;
    case Colour::kYellow: code = "33"; break;
    case Colour::kRed: code = "31"; break;
    case Colour::kDim: code = "2"; break;
    case Colour::kBold: code = "1"; break;
    case Colour::kNone: break;
  }
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

Colour colour_of_state(std::string_view state) {
  if (state == "done" || state == "closed" || state == "healthy") return Colour::kGreen;
  if (state == "queued" || state == "running" || state == "half_open" || state == "degraded") return Colour::kYellow;
  if (state == "dead" || state == "open" || state == "unhealthy") return Colour::kRed;
  return Colour::kNone;
}

void print(std::string_view line) { std::cout << line << '\n'; }
void complain(std::string_view line) { std::cerr << line << '\n'; }

void print_json(const nlohmann::json& value) {
  print(value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string printable(std::string_view text) {
  std::string out;
  append_printable(text, out);
  return out;
}

std::string local_time(int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  std::time_t seconds = unix_ms / 1000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local)};
}

void Table::print() const {
  std::vector<size_t> widths(headings_.size());
  for (size_t i = 0; i < headings_.size(); ++i) widths[i] = width(headings_[i]);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  auto line = [&](const std::vector<std::string>& cells, bool heading) {
    std::string text;
    for (size_t i = 0; i < cells.size(); ++i) {
      Colour colour = heading ? Colour::kDim : i == state_column_ ? colour_of_state(cells[i]) : Colour::kNone;
      text += paint(cells[i], colour);
      if (i + 1 < cells.size()) text += std::string(widths[i] - width(cells[i]) + 2, ' ');
    }
    cli::print(text);
  };
  line(headings_, true);
  for (const auto& row : rows_) line(row, false);
}

}  // namespace postern::cli
