// Globs: '*' stands for any text, also none; there is nothing else to know. Thread-safety: pure functions.
#pragma once

#include <string_view>

namespace postern::ingest {

bool matches_glob(std::string_view glob, std::string_view text);
// The same for an event's type, with or without the provider's name before it.
bool matches_type(std::string_view glob, std::string_view provider, std::string_view type);

}  // namespace postern::ingest
