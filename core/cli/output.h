// Output for people: tables, times, colours (only on a terminal, and not with NO_COLOR). Text of others is printed with its control
// characters escaped, so that it cannot steer the terminal.
// Thread-safety: main's thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace postern::cli {

enum class Colour { kNone, kGreen, kYellow, kRed, kDim, kBold };

// `text` for stdout, coloured where that makes sense.
std::string paint(std::string_view text, Colour colour);
Colour colour_of_state(std::string_view state);

void print(std::string_view line);     // stdout, with a line end
void complain(std::string_view line);  // stderr, with a line end

// One JSON text on stdout; bytes that are not UTF-8 are replaced.
void print_json(const nlohmann::json& value);

std::string printable(std::string_view text);
// "2026-11-20 03:43:05" in local time; "-" for 0.
std::string local_time(int64_t unix_ms);

class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // The cells of this column are coloured as states.
  void colour_states(size_t column) { state_column_ = column; }
  void print() const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
  size_t state_column_ = SIZE_MAX;
};

}  // namespace postern::cli
