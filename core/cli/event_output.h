// How events and deliveries look to people. Thread-safety: main's thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace postern::cli {

std::string text_of(const nlohmann::json& value);
std::string time_of(const nlohmann::json& value);  // of Unix milliseconds or null

// With their failed attempts.
void print_deliveries(const nlohmann::json& deliveries);
// With its request and, where they are there, its deliveries.
void print_event(const nlohmann::json& event);

}  // namespace postern::cli
