#include "core/cli/rehearsal.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/config/environment.h"

namespace postern::cli {
namespace {

constexpr int64_t kWithinMs = 30'000;
constexpr size_t kMostText = 64 * 1024;

// The reading end of a pipe, with the last of what came through it.
class Output {
 public:
  Output() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
    if (is_open()) ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
  }
  ~Output() {
    close_writing();
    if (ends_[0] >= 0) ::close(ends_[0]);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool is_open() const { return ends_[0] >= 0; }
  int reading() const { return ended_ ? -1 : ends_[0]; }
  int writing() const { return ends_[1]; }
  void close_writing() {
    if (ends_[1] >= 0) ::close(std::exchange(ends_[1], -1));
  }
  const std::string& text() const { return text_; }
  // All that is there now.
  void read() {
    char some[4096];
    ssize_t got;
    while ((got = ::read(ends_[0], some, sizeof some)) > 0) {
      text_.append(some, static_cast<size_t>(got));
      if (text_.size() > 2 * kMostText) text_.erase(0, text_.size() - kMostText);
    }
    ended_ = got == 0;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
  bool ended_ = false;
  std::string text_;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// This program, whatever file stands in its place now, in a group of its own and with no signal blocked.
int spawn(const std::string& config_file, const Output& out, const Output& err, pid_t& child) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, out.writing(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, err.writing(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  std::vector<std::string> words{"postern", "check", "-c", config_file, "--json", "--verbose"};
  std::vector<std::string> environment = config::environment_with_taken_variables();  // it reads the same secrets
  int error = ::posix_spawn(&child, "/proc/self/exe", &files, &attributes, pointers(words).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

enum class End { kByItself, kTooLate, kGivenUp };

bool has_ended(pid_t child) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

// Until the child has ended; whoever else holds its pipes is not waited for.
End follow(pid_t child, Output& out, Output& err, const std::function<bool()>& given_up) {
  constexpr int64_t kLookEveryMs = 100, kLookSoonMs = 2;
  int64_t until = steady_ms() + kWithinMs;
  for (int64_t left = kWithinMs; left > 0; left = until - steady_ms()) {
    std::array<pollfd, 2> waiting{{{out.reading(), POLLIN, 0}, {err.reading(), POLLIN, 0}}};
    bool soon = out.reading() < 0 && err.reading() < 0;  // it has closed both, so that nothing wakes us
    ::poll(waiting.data(), waiting.size(), static_cast<int>(std::min(left, soon ? kLookSoonMs : kLookEveryMs)));
    bool over = has_ended(child);
    out.read();
    err.read();
    if (over) return End::kByItself;
    if (given_up()) return End::kGivenUp;
  }
  return End::kTooLate;
}

// What `check` said: its faults, and which plugin it came to last.
struct Said {
  std::string faults, plugin;
};

// Plugins write there, too: anything may stand in it.
std::string text_of(const nlohmann::json& entry, const char* member) {
  auto found = entry.find(member);
  return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Said understand(const std::string& text) {
  Said said;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    nlohmann::json entry = line.starts_with('{') ? nlohmann::json::parse(line, nullptr, false) : nlohmann::json();
    if (!entry.is_object()) {
      said.faults += (said.faults.empty() ? "" : "\n") + line;
    } else if (text_of(entry, "message") == "loading a plugin") {
      said.plugin = text_of(entry, "plugin");
    }
  }
  return said;
}

Status judge(End end, int how, const std::string& answer, const Said& said) {
  std::string where = said.plugin.empty() ? std::string() : " while plugin " + said.plugin + " was loaded";
  std::string heard = said.faults.empty() ? std::string() : "\n" + said.faults;
  if (end == End::kGivenUp) return {Code::kUnavailable, "the gateway is about to stop"};
  if (end == End::kTooLate) return {Code::kInvalid, "trying it out took more than 30 s" + where + heard};
  if (WIFSIGNALED(how)) return {Code::kInvalid, std::string("trying it out crashed") + where + ": " + ::strsignal(WTERMSIG(how)) + heard};
  bool whole = nlohmann::json::parse(answer, nullptr, false).is_object();
  if (WEXITSTATUS(how) == 0 && whole) return Status::ok();
  if (!said.faults.empty() && WEXITSTATUS(how) != 0) return {Code::kInvalid, said.faults};
  return {Code::kInvalid,
          "trying it out ended with status " + std::to_string(WEXITSTATUS(how)) + where + ": did the plugin end the process?" + heard};
}

}  // namespace

Status rehearse(const std::string& config_file, const std::function<bool()>& given_up) {
  Output out, err;
  pid_t child = 0;
  if (!out.is_open() || !err.is_open()) return {Code::kIo, std::string("the configuration cannot be tried out: ") + std::strerror(errno)};
  if (int error = spawn(config_file, out, err, child); error != 0) {
    return {Code::kIo, std::string("the configuration cannot be tried out: ") + std::strerror(error)};
  }
  out.close_writing();
  err.close_writing();
  End end = follow(child, out, err, given_up);
  ::kill(-child, SIGKILL);  // with whatever a plugin has started; the group is there as long as the child is not waited for
  int how = 0;
  while (::waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  return judge(end, how, out.text(), understand(err.text()));
}

}  // namespace postern::cli
