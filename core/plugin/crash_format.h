// The file in which a gateway notes who is inside a plugin, as it lies on the disk. It is written through a mapping, by stores alone, so
// that a note costs nothing, and the kernel keeps what a process had stored when it ends, however it ends. A power cut may leave any
// of it: whoever reads it believes nothing.
//
//   Header      who wrote it, in which boot of the machine, and whether it ended in order
//   Signal      what the signal handler noted, if a signal ended it
//   suspects    deliveries that were inside plugins when an earlier life ended without a word, and have not been run again
//   plugins     what the numbers in frames stand for; [0] is nobody
//   modules     which addresses belong to which file
//   slots       one for each thread that has ever been inside a plugin: its calls, the outermost first
//
// Numbers are the machine's own: no other machine reads it. All of it begins as zeros, and pages that nobody touched take no room.
// Thread-safety: a slot is written by its own thread; the rest as crash_record.h says.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace postern::plugin::crash {

constexpr uint64_t kMagic = 0x48534152434e5450;  // "PTNCRASH"
constexpr uint32_t kFormatVersion = 1;

constexpr size_t kMaxDepth = 7;  // calls inside one another; deeper ones are counted, but not named
constexpr size_t kMaxSlots = 2048;
constexpr size_t kMaxPlugins = 256;
constexpr size_t kMaxModules = 384;
constexpr size_t kMaxBacktrace = 64;

// Ended: in order, so that what is still inside plugins says nothing.
enum State : uint32_t { kRuns = 1, kEnded = 2 };
// Of Signal. kNoted: all but the backtrace is there, which grows frame by frame.
enum Noted : uint32_t { kNothing = 0, kBegun = 1, kNoted = 2 };

struct Frame {
  int64_t delivery;  // 0: none
  uint16_t plugin;
  uint16_t entry;  // EntryPoint
  uint32_t unused;
};

struct Slot {
  std::atomic<uint32_t> taken;
  std::atomic<uint32_t> depth;
  std::array<Frame, kMaxDepth> frames;
  uint64_t unused;
};

struct Header {
  uint64_t magic;
  uint32_t version, size;
  uint64_t life;      // random: tells one life of the gateway from another
  int64_t started_at;  // Unix milliseconds
  std::array<char, 40> boot;
  std::atomic<uint32_t> state;
  uint32_t unused;
  std::atomic<int64_t> alone;  // the suspect that runs now, with no other delivery beside it; 0: none
};

struct Signal {
  std::atomic<uint32_t> noted;
  int32_t number;
  int32_t from_outside;  // another process has sent it
  int32_t slot;           // of the thread; -1: it was in no call that is noted
  int64_t at;             // Unix milliseconds
  uint64_t address;       // that could not be used; 0 where the signal has none
  uint64_t pc;            // of the instruction
  std::atomic<uint32_t> frames;
  uint32_t unused;
  std::array<uint64_t, kMaxBacktrace> backtrace;
};

struct Plugin {
  std::array<char, 64> name;
  std::array<char, 128> build;
};

struct Module {
  uint64_t begin, end;  // of its addresses; offsets count from `begin`
  uint32_t plugin;       // whose library it is; 0: nobody's
  uint32_t unused;
  std::array<char, 104> name;  // the file's, without its folder
};

struct File {
  Header header;
  Signal signal;
  std::array<std::atomic<int64_t>, kMaxSlots> suspects;
  std::array<Plugin, kMaxPlugins> plugins;
  std::array<Module, kMaxModules> modules;
  std::array<Slot, kMaxSlots> slots;
};

static_assert(sizeof(Frame) == 16 && sizeof(Slot) == 128 && sizeof(Header) == 88 && sizeof(Module) == 128);
static_assert(std::atomic<int64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

}  // namespace postern::plugin::crash
