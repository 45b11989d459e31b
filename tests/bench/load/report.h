// What the load generator says at its end: for people, or as one JSON object. Thread-safety: pure functions.
#pragma once

#include <string>

#include "tests/bench/load/figures.h"
#include "tests/bench/load/options.h"

namespace postern::load {

// Acknowledged requests per second, from the first request to the last answer.
double acks_per_second(const Figures& figures);

std::string report_for_people(const Options& options, const Figures& figures, double cpu_s);
std::string report_as_json(const Options& options, const Figures& figures, double cpu_s);

}  // namespace postern::load
