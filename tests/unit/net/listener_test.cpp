#include "core/net/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/base/log.h"
#include "tests/support/sanitizer.h"

namespace postern::net {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

uint16_t port_of(const Listener& listener) {
  const std::string& address = listener.address();
  return static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

int connect_tcp(uint16_t port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
  ::close(fd);
  return -1;
}

int connect_unix(const std::string& path) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path, path.c_str(), sizeof to.sun_path - 1);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
  ::close(fd);
  return -1;
}

class ListenerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern-net-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  static std::string fault(const std::string& address) {
    auto listener = Listener::open(address);
    return listener ? "listens" : listener.status().message();
  }

  std::string folder_;
};

TEST_F(ListenerTest, TellsThePortThatItGot) {
  auto listener = Listener::open("127.0.0.1:0");
  ASSERT_TRUE(listener) << listener.status().message();
  EXPECT_THAT((*listener)->address(), StartsWith("127.0.0.1:"));
  EXPECT_GT(port_of(**listener), 0);
  int fd = connect_tcp(port_of(**listener));
  EXPECT_GE(fd, 0);
  ::close(fd);
}

TEST_F(ListenerTest, ListensOnIpv6) {
  auto listener = Listener::open("[::1]:0");
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << listener.status().message();
  EXPECT_THAT((*listener)->address(), StartsWith("[::1]:"));
  EXPECT_GT(port_of(**listener), 0);
}

TEST_F(ListenerTest, TellsWhichAddressIsTaken) {
  auto listener = Listener::open("127.0.0.1:0");
  ASSERT_TRUE(listener);
  EXPECT_THAT(fault((*listener)->address()), StartsWith("listen on " + (*listener)->address() + ": "));
}

TEST_F(ListenerTest, MayListenAgainRightAfterItsEnd) {
  auto listener = Listener::open("127.0.0.1:0");
  ASSERT_TRUE(listener);
  std::string address = (*listener)->address();
  int client = connect_tcp(port_of(**listener));
  int served = ::accept((*listener)->fd(), nullptr, nullptr);
  ::close(served);  // first: the server's side keeps TIME_WAIT
  ::close(client);
  listener->reset();
  EXPECT_EQ(fault(address), "listens");
}

TEST_F(ListenerTest, TellsWhatIsWrongWithAnAddress) {
  EXPECT_THAT(fault("192.0.2.1:80"), StartsWith("listen on 192.0.2.1:80: "));
  EXPECT_THAT(fault("unix:" + path("no/such/folder.sock")), StartsWith("listen on unix:"));
  EXPECT_THAT(fault("unix:" + path(std::string(200, 'x'))), StartsWith("listen on unix:"));
}

TEST_F(ListenerTest, GivesAUnixSocketItsMode) {
  for (unsigned mode : {0600u, 0660u, 0666u}) {
    std::string file = path("mode" + std::to_string(mode));
    auto listener = Listener::open("unix:" + file, mode);
    ASSERT_TRUE(listener) << listener.status().message();
    struct stat info {};
    ASSERT_EQ(::lstat(file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, mode);
    EXPECT_EQ((*listener)->address(), "unix:" + file);
    listener->reset();
    EXPECT_NE(::lstat(file.c_str(), &info), 0) << "the file stayed";
  }
}

TEST_F(ListenerTest, LeavesTheMaskOfNewFilesAsItWas) {
  mode_t before = ::umask(0022);
  auto listener = Listener::open("unix:" + path("a"), 0600);
  EXPECT_EQ(::umask(before), 0022u);
  EXPECT_TRUE(listener);
}

// Left over from a crash: bound, and nobody listens.
TEST_F(ListenerTest, ReplacesAStaleSocket) {
  std::string file = path("stale");
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strncpy(at.sun_path, file.c_str(), sizeof at.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ::close(fd);
  auto listener = Listener::open("unix:" + file);
  ASSERT_TRUE(listener) << listener.status().message();
  int client = connect_unix(file);
  EXPECT_GE(client, 0);
  ::close(client);
}

TEST_F(ListenerTest, LeavesALiveSocketAlone) {
  std::string file = path("live");
  auto first = Listener::open("unix:" + file);
  ASSERT_TRUE(first);
  EXPECT_EQ(fault("unix:" + file), "listen on unix:" + file + ": another process already listens on " + file);
  int client = connect_unix(file);
  EXPECT_GE(client, 0) << "the first one does not answer any more";
  ::close(client);
}

TEST_F(ListenerTest, LeavesAFileThatIsNoSocketAlone) {
  std::string file = path("precious");
  std::ofstream(file) << "data";
  EXPECT_EQ(fault("unix:" + file), "listen on unix:" + file + ": " + file + " exists and is not a socket");
  std::string kept;
  std::ifstream(file) >> kept;
  EXPECT_EQ(kept, "data");
}

// ---- the acceptor

TEST_F(ListenerTest, AcceptsWithThePeersAddress) {
  auto tcp = Listener::open("127.0.0.1:0");
  auto local = Listener::open("unix:" + path("s"));
  ASSERT_TRUE(tcp && local);
  EventLoop loop;
  ASSERT_TRUE(loop.open());
  std::vector<std::string> peers;
  auto take = [&](std::unique_ptr<Stream> stream) {
    peers.push_back(stream->peer());
    if (peers.size() == 2) loop.stop();
  };
  Acceptor a(loop, **tcp, take), b(loop, **local, take);
  ASSERT_TRUE(a.start());
  ASSERT_TRUE(b.start());
  int first = connect_tcp(port_of(**tcp)), second = connect_unix(path("s"));
  loop.run();
  EXPECT_THAT(peers, ::testing::UnorderedElementsAre("127.0.0.1", "unix"));
  ::close(first);
  ::close(second);
}

TEST_F(ListenerTest, TakesNoConnectionAfterStop) {
  auto listener = Listener::open("127.0.0.1:0");
  ASSERT_TRUE(listener);
  EventLoop loop;
  ASSERT_TRUE(loop.open());
  int accepted = 0;
  Acceptor acceptor(loop, **listener, [&](std::unique_ptr<Stream>) { ++accepted; });
  ASSERT_TRUE(acceptor.start());
  acceptor.stop();
  int client = connect_tcp(port_of(**listener));
  loop.post([&] { loop.post([&] { loop.stop(); }); });
  loop.run();
  EXPECT_EQ(accepted, 0);
  ::close(client);
}

// In a process of its own, since it runs out of files: what waits is accepted once there are some again, and until then the loop
// does not spin. Returns what went wrong as an exit status.
int accept_without_files(const Listener& listener, const std::vector<int>& clients) {
  EventLoop loop;
  if (!loop.open()) return 10;
  int accepted = 0;
  Acceptor acceptor(loop, listener, [&](std::unique_ptr<Stream>) {
    if (++accepted == static_cast<int>(clients.size())) loop.stop();
  });
  if (!acceptor.start()) return 11;
  // The line that the acceptor will write, once while there are files: UBSan looks at a type for the first time through a pipe.
  log::warn("cannot accept: raise the limit of open files", {{"error", "not yet"}});
  rlimit none{3, 3};
  rlimit before{};
  if (::getrlimit(RLIMIT_NOFILE, &before) != 0) return 12;
  none.rlim_max = before.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &none) != 0) return 13;
  timespec cpu_before{}, cpu_after{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_before);
  Timer relief([&] {
    if (accepted != 0) ::_exit(14);
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_after);
    ::setrlimit(RLIMIT_NOFILE, &before);
  });
  Timer too_late([] { ::_exit(15); });
  loop.timers().arm(relief, loop.now_ms() + 400);
  loop.timers().arm(too_late, loop.now_ms() + 20'000);
  loop.run();
  int64_t cpu_ms = (cpu_after.tv_sec - cpu_before.tv_sec) * 1000 + (cpu_after.tv_nsec - cpu_before.tv_nsec) / 1'000'000;
  return cpu_ms > 200 ? 16 : 0;
}

TEST_F(ListenerTest, OutlivesAShortageOfFiles) {
  auto listener = Listener::open("127.0.0.1:0");
  ASSERT_TRUE(listener);
  std::vector<int> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connect_tcp(port_of(**listener)));
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(accept_without_files(**listener, clients));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  for (int fd : clients) ::close(fd);
}

// With all files but the spare one in use: each client is told so at once, and the loop has nothing to do in between.
int refuse_without_files(const Listener& listener, int told, int go_on) {
  EventLoop loop;
  if (!loop.open()) return 20;
  int accepted = 0, refused = 0;
  Acceptor acceptor(loop, listener, [&](std::unique_ptr<Stream>) {
    ++accepted;
    loop.stop();
  });
  acceptor.when_out_of_files([&] {
    ++refused;
    return std::string_view("no files\n");
  });
  if (!acceptor.start()) return 21;
  rlimit few{64, 64};
  if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return 22;
  std::vector<int> fill;
  for (int fd; (fd = ::dup(0)) >= 0;) fill.push_back(fd);
  timespec cpu{};
  Timer relief([&] {
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    for (int fd : fill) ::close(fd);
    char byte = 'f';
    if (::write(told, &byte, 1) != 1) ::_exit(24);
  });
  class Go final : public EventLoop::Watcher {
   public:
    explicit Go(std::function<void()> f) : f_(std::move(f)) {}
    void on_ready(uint32_t) override { f_(); }

   private:
    std::function<void()> f_;
  } go([&] {
    loop.unwatch(go_on);
    loop.timers().arm(relief, loop.now_ms() + 300);
  });
  if (!loop.watch(go_on, EPOLLIN, go)) return 25;
  Timer too_late([] { ::_exit(23); });
  loop.timers().arm(too_late, loop.now_ms() + 20'000);
  loop.run();
  if (refused != 100) return 26;
  if (accepted != 1) return 27;
  return cpu.tv_sec > 0 || cpu.tv_nsec > 300'000'000 ? 28 : 0;
}

TEST_F(ListenerTest, TellsThoseForWhomThereIsNoFile) {
#if POSTERN_ASAN
  GTEST_SKIP() << "UBSan, which comes with it, looks at a type for the first time through a pipe";
#endif
  auto listener = Listener::open("127.0.0.1:0");
  ASSERT_TRUE(listener);
  int told[2], go_on[2];
  ASSERT_EQ(::pipe(told), 0);
  ASSERT_EQ(::pipe(go_on), 0);
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(refuse_without_files(**listener, told[1], go_on[0]));
  ::close(told[1]);
  ::close(go_on[0]);
  for (int i = 0; i < 100; ++i) {
    int client = connect_tcp(port_of(**listener));
    timeval limit{10, 0};
    ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char answer[64];
    ssize_t n = ::recv(client, answer, sizeof answer, MSG_WAITALL);
    EXPECT_EQ(std::string_view(answer, n > 0 ? static_cast<size_t>(n) : 0), "no files\n");
    ::close(client);
  }
  char byte = 0;
  ASSERT_EQ(::write(go_on[1], "g", 1), 1);
  ASSERT_EQ(::read(told[0], &byte, 1), 1) << "it ended before";
  int client = connect_tcp(port_of(**listener));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  for (int fd : {client, told[0], go_on[1]}) ::close(fd);
}

// As a service manager hands it over: bound and listening, on a descriptor like any other.
TEST_F(ListenerTest, TakesASocketThatSomebodyElseHasBound) {
  auto first = Listener::open("127.0.0.1:0");
  ASSERT_TRUE(first.is_ok());
  auto adopted = Listener::adopt(::dup((*first)->fd()));
  ASSERT_TRUE(adopted.is_ok()) << adopted.status().message();
  EXPECT_EQ((*adopted)->address(), (*first)->address());
  EXPECT_TRUE((*adopted)->is_adopted());
  EXPECT_FALSE((*first)->is_adopted());
  EXPECT_NE(::fcntl((*adopted)->fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl((*adopted)->fd(), F_GETFD) & FD_CLOEXEC, 0);
  const uint16_t port = port_of(**first);
  first->reset();
  int fd = connect_tcp(port);
  EXPECT_GE(fd, 0) << "closing one holder closed the socket";
  ::close(fd);
}

TEST_F(ListenerTest, LeavesTheFileOfAnAdoptedUnixSocket) {
  const std::string path = folder_ + "/held.sock";
  auto first = Listener::open("unix:" + path);
  ASSERT_TRUE(first.is_ok());
  {
    auto adopted = Listener::adopt(::dup((*first)->fd()));
    ASSERT_TRUE(adopted.is_ok()) << adopted.status().message();
    EXPECT_EQ((*adopted)->address(), "unix:" + path);
  }
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(ListenerTest, TakesNothingElse) {
  int stream = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  for (int fd : {stream, file, 9999}) EXPECT_FALSE(Listener::adopt(fd).is_ok());
  ::close(stream);
  ::close(file);
}

}  // namespace
}  // namespace postern::net
