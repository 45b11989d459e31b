// Outcome: how sending a mail ended, for all of it and for each recipient, and what is to be done now.
// Thread-safety: plain values.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "dialogue.h"
#include "reply_text.h"

namespace smtp {

enum class Class {
  kDone,       // the server has taken it
  kTransient,  // try again later
  kPermanent,  // never: the server says so for good
  kAuth,       // the login is refused: for every mail, until somebody changes something
  kTls,        // no TLS as the configuration demands it: certificate, host name, no STARTTLS. Nothing was sent in clear
  kAmbiguous,  // the connection was lost behind the final dot: it may have arrived. Try again with the same Message-ID
};
const char* name_of(Class c);
// 2yz done, 4yz transient, 5yz permanent, but 530, 534, 535 and 538 auth, and 552 to RCPT transient (RFC 5321, 4.5.3.1.10).
Class class_of(int code, Step step);

struct RecipientOutcome {
  std::string address;
  Class result = Class::kTransient;
  int code = 0;      // of the reply that decided; 0: there was none
  std::string text;  // for people
};

// kDone: at least one recipient is done, and none of those may be mailed again.
struct Outcome {
  Class result = Class::kTransient;
  int code = 0;
  std::string text;
  std::vector<RecipientOutcome> recipients;  // each that the mail has, in its order
  bool untried = false;  // nobody asked the server about this mail
  std::chrono::milliseconds again_after{0};  // untried: when it may be worth to come again
};

// Why we ended it ourselves.
enum class Stop { kNone, kDeadline, kClosing };

struct Ending {
  CURLcode code = CURLE_OK;
  std::string_view curl_text;  // of CURLOPT_ERRORBUFFER
  Stop stop = Stop::kNone;
};

Outcome judge(const Dialogue& dialogue, const Ending& ending, const std::vector<std::string>& recipients, const Cleaner& clean);
// For every recipient alike.
Outcome same_for_all(Class result, std::string text, const std::vector<std::string>& recipients);

}  // namespace smtp
