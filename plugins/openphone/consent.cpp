#include "consent.h"

#include <algorithm>
#include <array>
#include <string>

namespace openphone {
namespace {

constexpr std::array<std::string_view, 10> kOptOut = {"STOP",    "END",    "CANCEL", "UNSUBSCRIBE", "QUIT",
                                                      "STOPALL", "REVOKE", "OPTOUT", "OPT-OUT",     "OPT OUT"};
constexpr std::array<std::string_view, 3> kOptIn = {"START", "YES", "UNSTOP"};

// Inside a longer message. END is an everyday word and counts only in a short one: "please end this".
constexpr std::array<std::string_view, 17> kPhrases = {
    " STOP ",         " STOPALL ",        " UNSUBSCRIBE ",  " CANCEL ",         " QUIT ",         " REVOKE ",
    " OPTOUT ",       " OPT OUT ",        " REMOVE ME ",    " TAKE ME OFF ",    " DONT TEXT ",    " DO NOT TEXT ",
    " DONT CONTACT ", " DO NOT CONTACT ", " DONT MESSAGE ", " DO NOT MESSAGE ", " NO MORE TEXTS "};
constexpr size_t kShortMessage = 4;  // words

// Spaces and quotation marks beyond ASCII that telephones put around a word: no-break space, zero-width marks, dashes,
// curved quotes, ellipsis, byte order mark.
constexpr std::array<std::string_view, 14> kWideMarks = {"\u00a0", "\u200b", "\u200c", "\u200d", "\u200e",
                                                         "\u200f", "\u2013", "\u2014", "\u2018", "\u2019",
                                                         "\u201c", "\u201d", "\u2026", "\ufeff"};

bool is_word_byte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
}

// Upper case, wide marks as spaces; apostrophes vanish ("don't" → "DONT").
std::string normalise(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x80) {
      std::string_view rest = text.substr(i);
      auto mark = std::find_if(kWideMarks.begin(), kWideMarks.end(), [&](auto m) { return rest.starts_with(m); });
      if (mark != kWideMarks.end()) {
        if (*mark != "\u2019") out += ' ';
        i += mark->size();
        continue;
      }
    }
    ++i;
    if (c != '\'') out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

std::string_view strip(std::string_view text) {
  while (!text.empty() && !is_word_byte(text.front())) text.remove_prefix(1);
  while (!text.empty() && !is_word_byte(text.back())) text.remove_suffix(1);
  return text;
}

// " DO NOT TEXT ME ": words with one space around each.
std::string spaced_words(std::string_view text, size_t& count) {
  std::string words;
  words.reserve(text.size() + 2);
  words += ' ';
  count = 0;
  for (size_t i = 0; i < text.size();) {
    if (!is_word_byte(text[i])) {
      ++i;
      continue;
    }
    for (; i < text.size() && is_word_byte(text[i]); ++i) words += text[i];
    words += ' ';
    ++count;
  }
  return words;
}

// The first of the phrases that is there; "" when none is.
std::string_view find_phrase(std::string_view words) {
  auto found = kPhrases.end();
  for (size_t space = 0; space + 1 < words.size(); space = words.find(' ', space + 1)) {
    std::string_view rest = words.substr(space);
    found = std::find_if(kPhrases.begin(), found,
                         [&](std::string_view phrase) { return rest[1] == phrase[1] && rest.starts_with(phrase); });
  }
  return found == kPhrases.end() ? std::string_view() : found->substr(1, found->size() - 2);
}

}  // namespace

ConsentFound find_consent(std::string_view text) {
  std::string upper = normalise(text);
  std::string_view whole = strip(upper);
  for (std::string_view word : kOptOut) {
    if (word == whole) return {Consent::kOptOut, word};
  }
  for (std::string_view word : kOptIn) {
    if (word == whole) return {Consent::kOptIn, word};
  }
  size_t count = 0;
  std::string words = spaced_words(upper, count);
  if (std::string_view phrase = find_phrase(words); !phrase.empty()) return {Consent::kFlagged, phrase};
  if (count <= kShortMessage && words.find(" END ") != std::string::npos) return {Consent::kFlagged, "END"};
  return {};
}

}  // namespace openphone
