// How probe ends the gateway; probe.cpp says what it is asked.
#include <signal.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "probe.h"

namespace probe {
namespace {

volatile int* volatile nowhere = nullptr;
volatile int deepest = INT_MAX;

[[gnu::noinline]] int overflow(int depth) {
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  const int deeper = depth < deepest ? overflow(depth + 1) : 0;
  return deeper + room[0];
}

void end_gateway(const std::string& how) {
  if (how == "abort") std::abort();
  if (how == "overflow") deepest = overflow(0);
  if (how == "exit") ::_exit(7);
  if (how == "kill") ::kill(::getpid(), SIGKILL);
  if (how == "thread") std::thread([] { *nowhere = 1; }).join();
  *nowhere = 1;
}

}  // namespace

void crash(std::string_view body) {
  const std::string once = member(body, "once"), as_long_as = member(body, "while");
  if (!as_long_as.empty() && !std::filesystem::exists(as_long_as)) return;
  if (!once.empty()) {
    if (std::filesystem::exists(once)) return;
    std::ofstream(once) << "crashed";
  }
  end_gateway(member(body, "how"));
}

}  // namespace probe
