#include "dialogue.h"

#include <algorithm>
#include <cctype>

namespace smtp {
namespace {

constexpr size_t kMaxLines = 128, kMaxBytes = 64 << 10;  // of one reply
constexpr size_t kMaxKept = 2'048;
constexpr int kContinues = 334;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether a line begins with a code and says whether more follow: RFC 5321, 4.2.1.
bool is_reply_line(std::string_view line) {
  return line.size() >= 3 && is_digit(line[0]) && is_digit(line[1]) && is_digit(line[2]) && (line.size() == 3 || line[3] == ' ' || line[3] == '-');
}

std::string_view without_line_end(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  return line;
}

bool begins_with(std::string_view text, std::string_view upper) {
  return text.size() >= upper.size() &&
         std::equal(upper.begin(), upper.end(), text.begin(), [](char u, char c) { return u == std::toupper(static_cast<unsigned char>(c)); });
}

}  // namespace

const char* name_of(Step step) {
  switch (step) {
    case Step::kGreeting: return "the greeting";
    case Step::kEhlo: return "EHLO";
    case Step::kStartTls: return "STARTTLS";
    case Step::kAuth: return "AUTH";
    case Step::kMail: return "MAIL";
    case Step::kRcpt: return "RCPT";
    case Step::kData: return "DATA";
    case Step::kBody: return "the mail";
    case Step::kEnd: return "the end of the mail";
    case Step::kCommand: return "NOOP";
    case Step::kQuit: return "QUIT";
  }
  return "";
}

void Dialogue::on_command(std::string_view line) {
  line = without_line_end(line);
  const bool within_auth = step_ == Step::kAuth && (reply_.code == 0 || reply_.code == kContinues);
  lines_.clear();
  reply_ = {};
  line_count_ = line_bytes_ = 0;
  if (within_auth) return;  // base64 of a credential, whatever it looks like
  if (begins_with(line, "EHLO ") || begins_with(line, "HELO ")) {
    step_ = Step::kEhlo;
    met_ = true;
    offers_auth_ = false;  // what was said before TLS does not count
  } else if (begins_with(line, "STARTTLS")) {
    step_ = Step::kStartTls;
  } else if (begins_with(line, "AUTH ")) {
    step_ = Step::kAuth;
  } else if (begins_with(line, "MAIL FROM:")) {
    step_ = Step::kMail;
    asked_smtputf8_ = line.ends_with(" SMTPUTF8");
  } else if (begins_with(line, "RCPT TO:")) {
    step_ = Step::kRcpt;
    recipients_.emplace_back();
  } else if (begins_with(line, "DATA")) {
    step_ = Step::kData;
  } else if (begins_with(line, "QUIT")) {
    step_ = Step::kQuit;
  } else {
    step_ = Step::kCommand;
  }
}

bool Dialogue::on_line(std::string_view line) {
  line_bytes_ += line.size();
  if (++line_count_ > kMaxLines || line_bytes_ > kMaxBytes) {
    objection_ = Objection::kEndless;
    return false;
  }
  line = without_line_end(line);
  if (!is_reply_line(line)) return true;  // libcurl waits for one, too
  const std::string_view text = line.substr(std::min<size_t>(4, line.size()));
  if (lines_.size() < kMaxKept) lines_.append(lines_.empty() ? "" : " ").append(text.substr(0, kMaxKept));
  if (step_ == Step::kEhlo) note_capability(text);
  if (line.size() > 3 && line[3] == '-') return true;
  finish_reply((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
  return objection_ == Objection::kNone;
}

// A whole word at the beginning of the line, so that a host of that name is not taken for it.
void Dialogue::note_capability(std::string_view text) {
  const std::string_view word = text.substr(0, text.find_first_of(" =\t"));
  if (word.size() == 4 && begins_with(word, "AUTH")) offers_auth_ = true;
}

void Dialogue::finish_reply(int code) {
  reply_ = {code, std::move(lines_)};
  lines_.clear();
  line_count_ = line_bytes_ = 0;
  if (step_ == Step::kGreeting) met_ = true;
  if (step_ == Step::kStartTls) tls_ = reply_.positive();
  if (step_ == Step::kEhlo && reply_.positive() && (tls_ || !wishes_.tls) && wishes_.auth && !offers_auth_) objection_ = Objection::kNoAuth;
  if (step_ == Step::kMail && reply_.positive() && wishes_.smtputf8 && !asked_smtputf8_) objection_ = Objection::kNoSmtpUtf8;
  if (step_ == Step::kRcpt && !recipients_.empty()) recipients_.back() = reply_;
  if (step_ == Step::kData && code == 354) step_ = Step::kBody;
  if ((step_ == Step::kEnd || step_ == Step::kCommand) && final_.code == 0) final_ = reply_;
}

void Dialogue::on_body(size_t bytes) {
  sent_ += bytes;
  if (step_ != Step::kBody || sent_ < wishes_.size) return;
  step_ = Step::kEnd;
  body_sent_ = true;
  reply_ = {};
}

}  // namespace smtp
