// What an inbound text says about further messages: the opt-out words of the CTIA Messaging Principles with the
// carriers' additions. Thread-safety: a pure function.
#pragma once

#include <string_view>

namespace openphone {

enum class Consent {
  kNone,
  kOptOut,   // the whole message is an opt-out word
  kOptIn,    // the whole message is an opt-in word
  kFlagged,  // reads like a revocation without being the exact word: for a person to decide (FCC rules of 2025)
};

struct ConsentFound {
  Consent consent = Consent::kNone;
  std::string_view word;  // the word or phrase that was found, in upper case; a constant
};

ConsentFound find_consent(std::string_view text);

}  // namespace openphone
