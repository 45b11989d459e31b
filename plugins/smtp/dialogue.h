// Dialogue: what was said on a connection about one mail: which command got which reply. libcurl speaks; this only listens, and says when
// it is enough. Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace smtp {

struct Reply {
  int code = 0;      // 0: there was none
  std::string text;  // its lines without the code, as they came but bounded
  bool positive() const { return code >= 200 && code < 300; }
  bool negative() const { return code >= 400; }
};

enum class Step { kGreeting, kEhlo, kStartTls, kAuth, kMail, kRcpt, kData, kBody, kEnd, kCommand, kQuit };
// "the greeting", "RCPT", "the end of the mail": what a reply answers.
const char* name_of(Step step);

class Dialogue {
 public:
  struct Wishes {
    bool tls = false;   // STARTTLS comes before anything else counts
    bool auth = false;  // there is a password or a token
    bool smtputf8 = false;
    uint64_t size = 0;  // of the mail
  };
  // Why to stop in the middle.
  enum class Objection { kNone, kEndless, kNoAuth, kNoSmtpUtf8 };

  explicit Dialogue(const Wishes& wishes) : wishes_(wishes) {}

  void on_command(std::string_view line);
  // A line of a reply. False: end it, for objection()'s reason.
  bool on_line(std::string_view line);
  // So many bytes of the mail are on their way.
  void on_body(size_t bytes);

  Step step() const { return step_; }
  Objection objection() const { return objection_; }
  // Of the step at hand; its code is 0 while it is not complete.
  const Reply& reply() const { return reply_; }
  const std::vector<Reply>& recipients() const { return recipients_; }  // in the order of RCPT
  const Reply& final_reply() const { return final_; }  // to the final dot, or to the one command of a probe
  bool begun_on_old_connection() const { return !met_ && step_ >= Step::kMail; }
  // The final dot is sent, or nearly: from here on only the server knows whether it has the mail.
  bool body_sent() const { return body_sent_; }

 private:
  void finish_reply(int code);
  void note_capability(std::string_view text);

  const Wishes wishes_;
  Step step_ = Step::kGreeting;
  Objection objection_ = Objection::kNone;
  Reply reply_, final_;
  std::string lines_;  // of the reply that is coming
  size_t line_count_ = 0, line_bytes_ = 0;
  std::vector<Reply> recipients_;
  uint64_t sent_ = 0;
  bool met_ = false;  // this connection was greeted within this dialogue
  bool tls_ = false, offers_auth_ = false, asked_smtputf8_ = false, body_sent_ = false;
};

}  // namespace smtp
