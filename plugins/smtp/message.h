// Message: a whole mail as it goes over the wire, composed once and read as often as it is sent. GMime makes the MIME tree.
//
// Everything is seven-bit (but addresses that need SMTPUTF8), lines end with CRLF and have at most 998 octets, and none begins with a dot,
// so that nothing on the way can mistake one for the end of the mail. Bcc is never written.
// Errors: throws Refused for what is wrong with the draft, std::runtime_error for what is wrong here (a file, the disk).
// Thread-safety: a Message is immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "address.h"
#include "spool.h"

namespace smtp {

struct Attachment {
  std::string file_name;     // as people see it
  std::string content_type;  // empty: application/octet-stream
  std::string bytes;         // or
  std::string path;          // a file, read piece by piece
  std::string content_id;    // an image of the HTML: "x", which says <img src="cid:x">
};

struct Draft {
  Mailbox from;
  std::vector<Mailbox> reply_to, to, cc, bcc;
  std::string subject, text, html;
  std::vector<Attachment> attachments;
  std::vector<std::pair<std::string, std::string>> headers;  // besides those that a mail has anyway
  std::vector<std::string> only;  // addresses that this time alone are mailed; empty: all
  std::string message_id;  // "unique@domain"; the same whenever this mail is tried again
  int64_t date = 0;        // Unix seconds
  bool auto_submitted = true;  // "Auto-Submitted: auto-generated", so that no answering machine answers
};

class Message {
 public:
  static constexpr uint64_t kMaxContent = 35u << 20;  // of texts and attachments, before they are encoded
  static constexpr size_t kMaxText = 4u << 20, kMaxRecipients = 1'000, kMaxAttachments = 100, kMaxHeaders = 50;

  static std::shared_ptr<const Message> compose(const Draft& draft);

  uint64_t size() const { return spool_.size(); }
  int64_t read(uint64_t offset, char* to, size_t most) const { return spool_.read(offset, to, most); }
  bool in_memory() const { return spool_.in_memory(); }

  const std::string& sender() const { return sender_; }
  const std::vector<std::string>& recipients() const { return recipients_; }  // To, Cc and Bcc, each once, or those of `only`
  bool needs_smtputf8() const { return needs_smtputf8_; }

  explicit Message(uint64_t expected) : spool_(expected) {}  // compose() makes it

 private:
  Spool spool_;
  std::string sender_;
  std::vector<std::string> recipients_;
  bool needs_smtputf8_ = false;
};

}  // namespace smtp
