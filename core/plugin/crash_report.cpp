#include "core/plugin/crash_report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/plugin/crash_format.h"
#include "core/plugin/crash_record.h"

namespace postern::plugin {
namespace {

using crash::File;

// A call that had not come back.
struct Running {
  uint16_t plugin;  // the innermost
  uint16_t entry;
  int64_t delivery;  // of the innermost call that has one
};

template <size_t N>
std::string text_of(const std::array<char, N>& text) {
  return {text.data(), ::strnlen(text.data(), N)};
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? "signal " + std::to_string(number) : std::string("SIG") + name;
}

std::optional<Running> running_in(const crash::Slot& slot) {
  if (slot.taken.load() == 0 || slot.depth.load() == 0) return std::nullopt;
  size_t named = std::min<size_t>(slot.depth.load(), crash::kMaxDepth);
  const crash::Frame& innermost = slot.frames[named - 1];
  if (innermost.plugin == 0 || innermost.plugin >= crash::kMaxPlugins) return std::nullopt;
  Running running{innermost.plugin, innermost.entry, 0};
  for (size_t i = named; i > 0 && running.delivery <= 0; --i) running.delivery = slot.frames[i - 1].delivery;
  running.delivery = std::max<int64_t>(running.delivery, 0);
  return running;
}

const crash::Module* module_of(const File& file, uint64_t address) {
  for (const crash::Module& module : file.modules) {
    if (address >= module.begin && address < module.end) return &module;
  }
  return nullptr;
}

std::string show(const File& file, uint64_t address) {
  const crash::Module* module = module_of(file, address);
  if (module == nullptr) return fmt::format("{:#x}", address);
  return fmt::format("{}+{:#x}", text_of(module->name), address - module->begin);
}

// From the instruction that failed on: before it there are the frames of the signal handler itself.
std::vector<uint64_t> frames_of(const crash::Signal& signal) {
  size_t count = std::min<size_t>(signal.frames.load(), crash::kMaxBacktrace);
  std::vector<uint64_t> frames(signal.backtrace.begin(), signal.backtrace.begin() + static_cast<ptrdiff_t>(count));
  auto pc = std::find(frames.begin(), frames.end(), signal.pc);
  if (pc == frames.end()) return {signal.pc};  // the walk did not get there
  frames.erase(frames.begin(), pc);
  return frames;
}

std::string show(const File& file, const std::vector<uint64_t>& frames) {
  std::string text;
  for (size_t i = 0; i < frames.size(); ++i) text += fmt::format("#{} {}\n", i, show(file, frames[i]));
  return text;
}

// An abort happens in the C library: what matters is which plugin's code led there.
std::string place_of(const File& file, const std::vector<uint64_t>& frames) {
  auto in_plugin = std::find_if(frames.begin(), frames.end(), [&](uint64_t address) {
    const crash::Module* module = module_of(file, address);
    return module != nullptr && module->plugin != 0;
  });
  return show(file, in_plugin == frames.end() ? frames.front() : *in_plugin);
}

std::vector<int64_t> without(std::vector<int64_t> deliveries, int64_t delivery) {
  std::erase(deliveries, delivery);
  std::sort(deliveries.begin(), deliveries.end());
  deliveries.erase(std::unique(deliveries.begin(), deliveries.end()), deliveries.end());
  return deliveries;
}

std::vector<int64_t> earlier_suspects(const File& file) {
  std::vector<int64_t> list;
  for (const auto& suspect : file.suspects) {
    if (suspect.load() > 0) list.push_back(suspect.load());
  }
  return list;
}

std::vector<Running> all_running(const File& file) {
  std::vector<Running> list;
  for (const crash::Slot& slot : file.slots) {
    if (auto running = running_in(slot)) list.push_back(*running);
  }
  return list;
}

store::Crash crash_of(const File& file, const Running& running) {
  store::Crash crash;
  crash.life = static_cast<int64_t>(file.header.life & INT64_MAX);
  crash.plugin = text_of(file.plugins[running.plugin].name);
  crash.build = text_of(file.plugins[running.plugin].build);
  crash.entry_point = to_text(static_cast<EntryPoint>(running.entry));
  crash.delivery = running.delivery;
  crash.at = wall_ms();
  return crash;
}

// Who was at work when the signal came: the call that its thread was in, or else the plugin whose code it ran.
std::optional<store::Crash> blame_signal(const File& file, const std::vector<uint64_t>& frames) {
  int32_t slot = file.signal.slot;
  if (slot >= 0 && static_cast<size_t>(slot) < file.slots.size()) {
    if (auto running = running_in(file.slots[static_cast<size_t>(slot)])) return crash_of(file, *running);
  }
  for (uint64_t address : frames) {
    const crash::Module* module = module_of(file, address);
    if (module == nullptr || module->plugin == 0 || module->plugin >= crash::kMaxPlugins) continue;
    store::Crash crash = crash_of(file, {static_cast<uint16_t>(module->plugin), 0, 0});
    crash.entry_point = "thread";
    return crash;
  }
  return std::nullopt;
}

CrashReport explained(const File& file, store::Crash crash) {
  CrashReport report;
  report.suspects = without(earlier_suspects(file), crash.delivery);
  std::string whose = (crash.entry_point == "thread" ? "a thread" : "the " + crash.entry_point) + " of plugin " + crash.plugin;
  report.told = (crash.signal.empty() ? "the gateway died without a word in " : "the gateway crashed in ") + whose;
  report.crash = std::move(crash);
  return report;
}

CrashReport unexplained(const File& file, const std::vector<Running>& running, std::string told) {
  CrashReport report;
  report.suspects = earlier_suspects(file);
  for (const Running& call : running) {
    if (call.delivery != 0) report.suspects.push_back(call.delivery);
  }
  report.suspects = without(std::move(report.suspects), 0);
  report.told = std::move(told);
  return report;
}

CrashReport after_signal(const File& file) {
  const crash::Signal& signal = file.signal;
  std::string name = signal_name(signal.number);
  std::vector<uint64_t> frames = frames_of(signal);
  std::optional<store::Crash> crash = blame_signal(file, frames);
  if (!crash) {
    std::string where = show(file, frames.front());
    return unexplained(file, all_running(file), "the gateway crashed outside of plugins: " + name + " in " + where);
  }
  crash->signal = std::move(name);
  if (signal.at > 0 && signal.at < crash->at) crash->at = signal.at;
  crash->place = place_of(file, frames);
  crash->backtrace = show(file, frames);
  return explained(file, std::move(*crash));
}

// Killed, out of memory, _exit: with several deliveries at work nobody can tell which it was. One that was run alone because of that is
// told by its second time.
CrashReport after_silence(const File& file) {
  std::vector<Running> running = all_running(file);
  if (text_of(file.header.boot) != crash::this_boot()) {
    return unexplained(file, running, "the machine was started anew while the gateway ran");
  }
  int64_t alone = file.header.alone.load();
  auto has_delivery = [](const Running& call) { return call.delivery != 0; };
  auto tried = std::find_if(running.begin(), running.end(), has_delivery);
  bool was_alone = alone != 0 && std::count_if(running.begin(), running.end(), has_delivery) == 1 && tried->delivery == alone;
  if (was_alone) return explained(file, crash_of(file, *tried));
  return unexplained(file, running, "the gateway was ended without a word");
}

CrashReport report_on(const File& file) {
  if (file.signal.noted.load() == crash::kNoted && file.signal.from_outside == 0) return after_signal(file);
  if (file.header.state.load() == crash::kEnded) return {};
  return after_silence(file);
}

bool is_record(const File& file) {
  const crash::Header& header = file.header;
  uint32_t state = header.state.load();
  return header.magic == crash::kMagic && header.version == crash::kFormatVersion && header.size == sizeof(File) &&
         (state == crash::kRuns || state == crash::kEnded);
}

// A copy in memory of its own, which goes back to the system at once: on the heap it would stay with the process for long.
struct Unmap {
  void operator()(File* file) const { ::munmap(static_cast<void*>(file), sizeof(File)); }
};
using Copy = std::unique_ptr<File, Unmap>;

Copy new_copy() {
  void* memory = ::mmap(nullptr, sizeof(File), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return Copy(memory == MAP_FAILED ? nullptr : static_cast<File*>(memory));  // zeros, as those of a new record
}

// Null: there is nothing in it (an empty file, one that nobody has begun).
Result<Copy> read_file(const std::string& path, int fd) {
  struct stat found {};
  if (::fstat(fd, &found) != 0) return Status(Code::kIo, path + ": " + std::strerror(errno));
  if (!S_ISREG(found.st_mode)) return Status(Code::kCorrupt, path + ": is no regular file");
  if (found.st_size == 0) return Copy();
  Copy file = new_copy();
  if (!file) return Status(Code::kLimit, path + ": no memory to read it");
  ssize_t size = ::pread(fd, static_cast<void*>(file.get()), sizeof(File), 0);
  if (size < 0) return Status(Code::kIo, path + ": " + std::strerror(errno));
  if (static_cast<size_t>(size) == sizeof(File) && file->header.magic == 0) return Copy();
  if (static_cast<size_t>(size) != sizeof(File) || static_cast<size_t>(found.st_size) != sizeof(File) || !is_record(*file)) {
    return Status(Code::kCorrupt, path + ": is no crash record of this version, or not all of one");
  }
  return file;
}

}  // namespace

Result<std::optional<CrashReport>> read_crash_report(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return std::optional<CrashReport>();
  if (fd < 0) return Status(Code::kIo, path + ": " + std::strerror(errno));
  auto file = read_file(path, fd);
  ::close(fd);
  if (!file) return file.status();
  if (!*file) return std::optional<CrashReport>();
  return std::optional(report_on(**file));
}

namespace crash {

std::string this_boot() {
  int fd = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 36> id{};
  ssize_t size = ::read(fd, id.data(), id.size());
  ::close(fd);
  return {id.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
}

Status keep_death(const std::string& path, int fd, const std::string& died) {
  auto file = read_file(path, fd);
  if (!file) return file.status();
  if (!*file) return Status::ok();
  CrashReport report = report_on(**file);
  if (report.told.empty()) return Status::ok();
  constexpr mode_t kPrivate = 0600;
  int copy = ::open(died.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kPrivate);
  if (copy < 0 && errno == EEXIST) {  // the start after it did not get as far as to count it: the older one has more to tell
    log::warn("how the gateway ended is not counted, since an earlier end is not yet", {{"end", report.told}});
    return Status::ok();
  }
  if (copy < 0) return {Code::kIo, died + ": " + std::strerror(errno)};
  ssize_t written = ::write(copy, static_cast<const void*>(file->get()), sizeof(File));
  ::close(copy);
  if (written == static_cast<ssize_t>(sizeof(File))) return Status::ok();
  ::unlink(died.c_str());
  return {Code::kIo, died + ": no room for it"};
}

}  // namespace crash
}  // namespace postern::plugin
