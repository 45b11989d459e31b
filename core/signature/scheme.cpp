#include "core/signature/scheme.h"

namespace postern::signature {

const char* to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted:
      return "accepted";
    case Verdict::kMissing:
      return "a header that the scheme needs is missing";
    case Verdict::kDoubled:
      return "a header that the scheme needs is there more than once";
    case Verdict::kMalformed:
      return "a header does not read as the scheme says";
    case Verdict::kStale:
      return "the timestamp is outside the tolerance";
    case Verdict::kWrong:
      return "no signature matches";
    case Verdict::kUnknown:
      return "the plugin could not tell";
  }
  return "unknown";
}

}  // namespace postern::signature
