#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace postern::testing {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

int open_output(const std::string& file) {
  const int fd = file.empty() ? memfd_create("output", MFD_CLOEXEC)
                              : open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) fail("open output " + file);
  return fd;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[16384];
  for (off_t at = 0;;) {
    const ssize_t n = pread(fd, buffer, sizeof buffer, at);
    if (n <= 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    at += n;
  }
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    bool replaced = false;
    for (const auto& [name, value] : added) replaced = replaced || text.starts_with(name + "=");
    if (!replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

Process::Process(const Options& options) : out_(open_output(options.out_file)), err_(open_output(options.err_file)) {
  std::vector<std::string> args{options.program};
  args.insert(args.end(), options.args.begin(), options.args.end());
  std::vector<std::string> env = environment_with(options.env);
  const std::vector<char*> argv = pointers(args);
  const std::vector<char*> envp = pointers(env);
  int failure[2];  // tells of an exec that failed: closed by one that did not
  if (pipe2(failure, O_CLOEXEC) != 0) fail("pipe");
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(out_, STDOUT_FILENO);
    dup2(err_, STDERR_FILENO);
    execvpe(argv[0], argv.data(), envp.data());
    const int error = errno;
    if (write(failure[1], &error, sizeof error) < 0) _exit(126);
    _exit(127);
  }
  close(failure[1]);
  int error = 0;
  const ssize_t n = read(failure[0], &error, sizeof error);
  close(failure[0]);
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (n > 0) {
    kill();
    errno = error;
    fail("start " + options.program);
  }
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      out_(std::exchange(other.out_, -1)),
      err_(std::exchange(other.err_, -1)),
      exit_(std::exchange(other.exit_, std::nullopt)) {}

Process::~Process() {
  if (pid_ > 0) kill();
  for (const int fd : {pidfd_, out_, err_}) {
    if (fd >= 0) close(fd);
  }
}

bool Process::running() { return !wait(milliseconds(0)); }

std::optional<Exit> Process::wait(milliseconds timeout) {
  if (exit_) return exit_;
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    pollfd ended{pidfd_, POLLIN, 0};
    const int n = poll(&ended, 1, left_ms(deadline));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    int status = 0;
    if (waitpid(pid_, &status, 0) != pid_) fail("waitpid");
    exit_ = WIFEXITED(status) ? Exit{WEXITSTATUS(status), 0} : Exit{-1, WTERMSIG(status)};
    return exit_;
  }
}

void Process::send_signal(int signal) {
  if (!exit_) ::kill(pid_, signal);
}

Exit Process::kill() {
  send_signal(SIGKILL);
  return wait(milliseconds(60000)).value_or(Exit{});
}

std::string Process::out() const { return read_all(out_); }
std::string Process::err() const { return read_all(err_); }

bool Process::wait_for_line(std::string_view text, milliseconds timeout) {
  const auto there = [&] { return out().find(text) != std::string::npos || err().find(text) != std::string::npos; };
  return eventually(timeout, [&] { return there() || !running(); }) && there();
}

size_t Process::rss() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  size_t total = 0;
  size_t resident = 0;
  file >> total >> resident;
  return file ? resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

milliseconds Process::cpu() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t name_end = text.rfind(')');  // the name may contain anything
  if (name_end == std::string::npos) return milliseconds(0);
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i <= 13; ++i) fields >> skipped;
  int64_t user = 0;
  int64_t system = 0;
  fields >> user >> system;
  return milliseconds((user + system) * 1000 / sysconf(_SC_CLK_TCK));
}

Finished run(const std::string& program, const std::vector<std::string>& args, milliseconds timeout,
             const std::vector<std::pair<std::string, std::string>>& env) {
  Process process({program, args, env, "", ""});
  Finished finished;
  const auto exit = process.wait(timeout);
  finished.exit = exit ? *exit : process.kill();
  finished.out = process.out();
  finished.err = process.err();
  return finished;
}

}  // namespace postern::testing
