// A composed mail, read back by two programs that did not write it. Thread-safety: one test at a time.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "smtp/message.h"
#include "tests/support/places.h"
#include "tests/support/process.h"

namespace smtp_test {

using nlohmann::json;
using smtp::Draft;
using smtp::Message;

// A folder of a test's own.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "postern-smtp-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
    return path_ + "/" + name;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline Draft draft() {
  Draft made;
  made.from = smtp::parse_mailbox("from", "Postern <postern@example.com>");
  made.to = {smtp::parse_mailbox("to", "Ann <ann@example.com>")};
  made.subject = "Hello";
  made.text = "Hi Ann,\nhow are you?\n";
  made.message_id = "dlv_1@example.com";
  made.date = 1'795'000'000;  // 2026-11-18 11:06:40 UTC
  return made;
}

inline std::string bytes_of(const Message& message) {
  std::string bytes(message.size(), '\0');
  size_t at = 0;
  while (at < bytes.size()) {
    const int64_t got = message.read(at, bytes.data() + at, std::min<size_t>(10'000, bytes.size() - at));
    if (got <= 0) throw std::runtime_error("a message ends early");
    at += static_cast<size_t>(got);
  }
  char more = 0;
  if (message.read(at, &more, 1) != 0) throw std::runtime_error("a message has more than its size");
  return bytes;
}

// What tests/support/mail/read_mail.py says.
inline json read_with_python(const std::string& bytes) {
  const Folder folder;
  const auto done = postern::testing::run("/usr/bin/python3", {postern::testing::sources("tests/support/mail/read_mail.py"), folder.file("mail.eml", bytes)});
  if (done.exit.code != 0) throw std::runtime_error("read_mail.py: " + done.err);
  return json::parse(done.out);
}

// Also checks what holds for every mail.
inline json composed(const Draft& from) {
  const json read = read_with_python(bytes_of(*Message::compose(from)));
  const json& wire = read["wire"];
  EXPECT_LE(wire["longest_line"], 998);
  EXPECT_EQ(wire["bare"], 0) << "bare CR or LF";
  EXPECT_EQ(wire["dots"], 0) << "lines that begin with a dot";
  EXPECT_TRUE(wire["ends_with_line_end"]);
  EXPECT_LE(wire["longest_encoded_word"], 75);
  EXPECT_EQ(read["header_defects"], json::array());
  EXPECT_EQ(read["body"]["defects"], json::array());
  return read;
}

// The values of a header by that name.
inline json header(const json& read, const std::string& name) {
  json values = json::array();
  for (const json& one : read["headers"]) {
    if (one[0] == name) values.push_back(one[1]);
  }
  return values;
}

}  // namespace smtp_test
