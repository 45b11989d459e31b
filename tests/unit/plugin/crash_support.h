// What the tests of the crash record share: a folder, and lives of a gateway that end as told, each in a process of its own.
// Thread-safety: one thread.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/plugin/crash_record.h"
#include "core/plugin/crash_report.h"
#include "core/plugin/crash_signal.h"

namespace postern::plugin::testing {

// Somewhere in this program, which stands for the libraries of all plugins.
inline const void* own_code() { return reinterpret_cast<const void*>(&own_code); }

class CrashTest : public ::testing::Test {
 protected:
  CrashTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-crash-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = pattern;
  }
  ~CrashTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string path() const { return folder_ + "/events.db.running"; }
  std::string died() const { return path() + ".died"; }

  // A life with a record in which `acme` (1) and `mail` (2) are plugins; its wait status. It must not come back from `life`.
  int live(const std::function<void(CrashRecord&)>& life) const {
    pid_t child = ::fork();
    if (child == 0) {
      auto record = CrashRecord::open(path());
      if (!record) ::_exit(99);
      (*record)->add_plugin("acme", "b1", "/plugins/acme.so", own_code());
      (*record)->add_plugin("mail", "b2", "/plugins/mail.so", nullptr);
      life(**record);
      ::_exit(98);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }

  // What the next start finds.
  CrashReport next_start() const {
    auto record = CrashRecord::open(path());
    // Whoever the life has forked has the file as well until it ends.
    for (int i = 0; i < 5000 && record.status().code() == Code::kUnavailable; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      record = CrashRecord::open(path());
    }
    if (!record) throw std::runtime_error(record.status().message());
    auto report = read_crash_report((*record)->died_file());
    if (!report) throw std::runtime_error(report.status().message());
    (*record)->end();
    std::filesystem::remove((*record)->died_file());
    return report->value_or(CrashReport());
  }

  std::string folder_;
};

inline CallSite site(uint16_t plugin, EntryPoint entry = EntryPoint::kHandler, int64_t delivery = 0) { return {plugin, entry, delivery}; }

}  // namespace postern::plugin::testing
