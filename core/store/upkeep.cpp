#include "core/store/upkeep.h"

namespace postern::store {

const char* to_text(JobKind kind) {
  switch (kind) {
    case JobKind::kReplay: return "replay";
    case JobKind::kRerun: return "rerun";
    case JobKind::kDrop: return "drop";
    case JobKind::kPrune: return "prune";
  }
  return "replay";
}

const char* to_text(JobState state) {
  switch (state) {
    case JobState::kRunning: return "running";
    case JobState::kDone: return "done";
    case JobState::kCancelled: return "cancelled";
  }
  return "running";
}

}  // namespace postern::store
