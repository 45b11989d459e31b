// Composed mails, as Python's email package and GMime's own parser read them.
#include <gmime/gmime.h>
#include <gmock/gmock.h>
#include <openssl/sha.h>

#include "smtp/gobject.h"
#include "smtp/refused.h"
#include "tests/unit/smtp/composed.h"

namespace smtp_test {
namespace {

using smtp::Attachment;
using smtp::Mailbox;
using smtp::parse_mailbox;
using smtp::Refused;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string sha256(const std::string& bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  std::string hex;
  for (unsigned char c : digest) hex += {"0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
  return hex;
}

std::string refusal(const Draft& from) {
  try {
    Message::compose(from);
  } catch (const Refused& refused) {
    return refused.what();
  }
  return "accepted";
}

std::string repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST(SmtpMessage, TextAlone) {
  const json read = composed(draft());
  EXPECT_EQ(read["body"]["type"], "text/plain");
  EXPECT_EQ(read["body"]["charset"], "utf-8");
  EXPECT_EQ(read["body"]["text"], "Hi Ann,\nhow are you?\n");
  EXPECT_EQ(header(read, "Subject"), json({"Hello"}));
  EXPECT_EQ(header(read, "Date"), json({"Wed, 18 Nov 2026 11:06:40 +0000"}));
  EXPECT_EQ(header(read, "Message-ID"), json({"<dlv_1@example.com>"}));
  EXPECT_EQ(header(read, "MIME-Version"), json({"1.0"}));
  EXPECT_EQ(header(read, "Auto-Submitted"), json({"auto-generated"}));
  EXPECT_EQ(header(read, "From"), json({"Postern <postern@example.com>"}));
  EXPECT_TRUE(read["wire"]["ascii"]);
}

TEST(SmtpMessage, TheSameDraftHasTheSameMessageIdAndOnlyOneOfEachHeader) {
  const json first = composed(draft()), second = composed(draft());
  EXPECT_EQ(header(first, "Message-ID"), header(second, "Message-ID"));
  for (const char* name : {"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"}) EXPECT_EQ(header(first, name).size(), 1u) << name;
}

TEST(SmtpMessage, BccIsAddressedAndNeverWritten) {
  Draft mail = draft();
  mail.cc = {parse_mailbox("cc", "carl@example.com"), parse_mailbox("cc", "ann@EXAMPLE.com")};
  mail.bcc = {parse_mailbox("bcc", "Secret <secret@example.com>")};
  const auto message = Message::compose(mail);
  EXPECT_THAT(message->recipients(), ::testing::ElementsAre("ann@example.com", "carl@example.com", "secret@example.com"));
  EXPECT_THAT(bytes_of(*message), Not(HasSubstr("ecret")));
  mail.to.clear();
  mail.cc.clear();
  EXPECT_THAT(bytes_of(*Message::compose(mail)), HasSubstr("\r\nTo: undisclosed-recipients:;\r\n"));
}

TEST(SmtpMessage, AlternativeHasThePlainTextFirst) {
  Draft mail = draft();
  mail.html = "<p>Hi <b>Ann</b></p>\n";
  const json body = composed(mail)["body"];
  EXPECT_EQ(body["type"], "multipart/alternative");
  ASSERT_EQ(body["parts"].size(), 2u);
  EXPECT_EQ(body["parts"][0]["type"], "text/plain");
  EXPECT_EQ(body["parts"][1]["type"], "text/html");
  EXPECT_EQ(body["parts"][1]["text"], mail.html);
  EXPECT_LE(body["boundary"].get<std::string>().size(), 70u);
}

TEST(SmtpMessage, ImagesAndAttachmentsStandWhereTheyBelong) {
  Draft mail = draft();
  mail.html = "<img src=\"cid:logo\">";
  const std::string png = "\x89PNG\r\n\x1a\n" + repeated(std::string("\0.\r\n\n.", 6), 100);
  mail.attachments = {Attachment{"logo.png", "image/png", png, "", "logo"}, Attachment{"a.csv", "text/csv", "a,b\n1,2\r\n.", "", ""}};
  const json body = composed(mail)["body"];
  EXPECT_EQ(body["type"], "multipart/mixed");
  ASSERT_EQ(body["parts"].size(), 2u);
  const json& alternative = body["parts"][0];
  EXPECT_EQ(alternative["type"], "multipart/alternative");
  const json& related = alternative["parts"][1];
  EXPECT_EQ(related["type"], "multipart/related");
  EXPECT_EQ(related["parts"][0]["type"], "text/html");
  EXPECT_EQ(related["parts"][1]["id"], "<logo>");
  EXPECT_EQ(related["parts"][1]["disposition"], "inline");
  EXPECT_EQ(related["parts"][1]["sha256"], sha256(png));
  const json& csv = body["parts"][1];
  EXPECT_EQ(csv["disposition"], "attachment");
  EXPECT_EQ(csv["file_name"], "a.csv");
  EXPECT_EQ(csv["sha256"], sha256("a,b\n1,2\r\n."));
  EXPECT_EQ(csv["encoding"], "base64");
}

TEST(SmtpMessage, SubjectsComeBackAsTheyWere) {
  for (const std::string& subject : {std::string("Grüße aus Köln"), repeated("日本語", 80), repeated("x", 1'500), std::string("a =?UTF-8?B?eA==?= b"),
                                     repeated("word ", 60) + "end", repeated("👩‍👩‍👧 family ", 20) + "end", std::string("tab\tand  two  blanks"), std::string("a")}) {
    Draft mail = draft();
    mail.subject = subject;
    const json read = composed(mail);
    EXPECT_EQ(header(read, "Subject"), json({subject}));
    EXPECT_TRUE(read["wire"]["ascii"]);
  }
}

TEST(SmtpMessage, NamesComeBackAsTheyWere) {
  const std::pair<const char*, const char*> cases[] = {{"Jörg Müller <j@example.com>", "Jörg Müller"},
                                                       {"Doe, Ann (Ms.) <j@example.com>", "Doe, Ann (Ms.)"},
                                                       {"\"Ann \\\"A\\\\\\\" Doe\" <j@example.com>", "Ann \"A\\\" Doe"},
                                                       {"山田太郎様山田太郎様山田太郎様山田太郎様 <j@example.com>", "山田太郎様山田太郎様山田太郎様山田太郎様"},
                                                       {"a=?x <j@example.com>", "a=?x"}};
  for (const auto& [text, name] : cases) {
    Draft mail = draft();
    mail.to = {parse_mailbox("to", text), parse_mailbox("to", "bare@example.com")};
    const json read = composed(mail);
    EXPECT_EQ(read["addresses"]["To"], json({{name, "j@example.com"}, {"", "bare@example.com"}}));
  }
}

TEST(SmtpMessage, AThousandRecipientsAreFolded) {
  Draft mail = draft();
  for (int i = 1; i < 1'000; ++i) mail.to.push_back(parse_mailbox("to", "Person Ünal " + std::to_string(i) + " <p" + std::to_string(i) + "@example.com>"));
  const json read = composed(mail);
  EXPECT_EQ(read["addresses"]["To"].size(), 1'000u);
  EXPECT_LE(read["wire"]["longest_line"], 78);
  EXPECT_EQ(Message::compose(mail)->recipients().size(), 1'000u);
  mail.bcc = {parse_mailbox("bcc", "more@example.com")};
  EXPECT_THAT(refusal(mail), StartsWith("to: more than 1000 recipients"));
}

TEST(SmtpMessage, FileNamesAreWrittenTwice) {
  Draft mail = draft();
  mail.attachments = {Attachment{"Übersicht \"2026\" 日本.pdf", "application/pdf", "x", "", ""}};
  const std::string bytes = bytes_of(*Message::compose(mail));
  EXPECT_THAT(bytes, HasSubstr("filename=\"_bersicht _2026_ __.pdf\""));
  EXPECT_THAT(bytes, HasSubstr("filename*=UTF-8''%C3%9Cbersicht%20%222026%22%20%E6%97%A5%E6%9C%AC.pdf"));
  const smtp::Ref<GMimeStream> stream(g_mime_stream_mem_new_with_buffer(bytes.data(), bytes.size()));
  const smtp::Ref<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  const smtp::Ref<GMimeMessage> parsed(g_mime_parser_construct_message(parser.get(), nullptr));
  ASSERT_TRUE(GMIME_IS_MULTIPART(g_mime_message_get_mime_part(parsed.get())));
  GMimeObject* part = g_mime_multipart_get_part(GMIME_MULTIPART(g_mime_message_get_mime_part(parsed.get())), 1);
  EXPECT_STREQ(g_mime_part_get_filename(GMIME_PART(part)), "Übersicht \"2026\" 日本.pdf");
  EXPECT_STREQ(g_mime_message_get_subject(parsed.get()), "Hello");
  EXPECT_STREQ(g_mime_message_get_message_id(parsed.get()), "dlv_1@example.com");
}

TEST(SmtpMessage, LineEndsAreCanonicalAndLongLinesWrapped) {
  Draft mail = draft();
  mail.text = "one\rtwo\nthree\r\n.\r\n..\n...dots\n\r.\n" + repeated("y", 5'000) + "\n. " + repeated("é ", 300) + "\ntrailing blank \nlast";
  const json read = composed(mail);
  EXPECT_EQ(read["body"]["text"], "one\ntwo\nthree\n.\n..\n...dots\n\n.\n" + repeated("y", 5'000) + "\n. " + repeated("é ", 300) + "\ntrailing blank \nlast");
  EXPECT_LE(read["wire"]["longest_line"], 76);
}

TEST(SmtpMessage, TextBeyondAsciiIsBase64) {
  Draft mail = draft();
  mail.text = repeated("こんにちは\n", 100);
  const json read = composed(mail);
  EXPECT_EQ(read["body"]["encoding"], "base64");
  EXPECT_EQ(read["body"]["text"], mail.text);
}

TEST(SmtpMessage, HeadersOfOnesOwn) {
  Draft mail = draft();
  const std::string url = "<https://example.com/" + repeated("a", 200) + ">";
  mail.headers = {{"List-Unsubscribe", url}, {"X-Note", "Grüße"}, {"References", repeated("<abc@example.com> ", 50) + "<end@example.com>"}};
  const json read = composed(mail);
  EXPECT_EQ(header(read, "List-Unsubscribe"), json({url})) << "as it is: an encoded URL is none";
  EXPECT_EQ(header(read, "X-Note"), json({"Grüße"}));
  EXPECT_EQ(header(read, "References")[0], mail.headers[2].second);
  mail = draft();
  mail.auto_submitted = false;
  EXPECT_EQ(header(composed(mail), "Auto-Submitted"), json::array());
}

TEST(SmtpMessage, AnAddressBeyondAsciiIsWrittenAsItIs) {
  Draft mail = draft();
  mail.to = {parse_mailbox("to", "用户 <用户@例え.example>")};
  const json read = composed(mail);
  EXPECT_THAT(read["raw_headers"].get<std::string>(), HasSubstr("<用户@xn--r8jz45g.example>"));
  EXPECT_TRUE(Message::compose(mail)->needs_smtputf8());
  EXPECT_FALSE(Message::compose(draft())->needs_smtputf8());
}

TEST(SmtpMessage, ALargeAttachmentIsNeverInMemory) {
  const Folder folder;
  std::string piece;
  for (int i = 0; i < 100'000; ++i) piece += static_cast<char>(i * 7 + i / 256);
  const std::string content = repeated(piece, 250);  // 25 MB
  Draft mail = draft();
  mail.attachments = {Attachment{"big.bin", "", "", folder.file("big.bin", content), ""}};
  const auto message = Message::compose(mail);
  EXPECT_FALSE(message->in_memory());
  const json read = read_with_python(bytes_of(*message));
  EXPECT_EQ(read["body"]["parts"][1]["sha256"], sha256(content));
  EXPECT_EQ(read["body"]["parts"][1]["type"], "application/octet-stream");
  EXPECT_EQ(read["wire"]["longest_line"], 76);
  EXPECT_EQ(read["wire"]["bare"], 0);
  mail.attachments.push_back(mail.attachments[0]);
  EXPECT_THAT(refusal(mail), StartsWith("attachments[1]: the mail gets too large"));
  EXPECT_TRUE(Message::compose(draft())->in_memory());
}

TEST(SmtpMessage, WhatWouldInjectIsRefused) {
  auto with = [](auto change) {
    Draft mail = draft();
    change(mail);
    return refusal(mail);
  };
  EXPECT_EQ(with([](Draft& m) { m.subject = "Hi\r\nX-Evil: 1"; }), "subject: a line break is not allowed");
  EXPECT_EQ(with([](Draft& m) { m.subject = std::string("a\0b", 3); }), "subject: a NUL byte is not allowed");
  EXPECT_EQ(with([](Draft& m) { m.headers = {{"X-A", "1\nBcc: x@y"}}; }), "headers[0]: a line break is not allowed");
  EXPECT_THAT(with([](Draft& m) { m.headers = {{"X-A: 1\r\nX-B", "1"}}; }), StartsWith("headers[0]: a header's name must be"));
  EXPECT_EQ(with([](Draft& m) { m.headers = {{"bCC", "x@y"}}; }), "headers[0]: this header is written by the gateway itself");
  EXPECT_EQ(with([](Draft& m) { m.headers = {{"Content-Type", "text/html"}}; }), "headers[0]: this header is written by the gateway itself");
  EXPECT_EQ(with([](Draft& m) { m.attachments = {{"a\nb", "", "x", "", ""}}; }), "attachments[0].file_name: a line break is not allowed");
  EXPECT_EQ(with([](Draft& m) { m.attachments = {{"a", "text/x\r\nX: y", "x", "", ""}}; }), "attachments[0].content_type: a line break is not allowed");
  EXPECT_THAT(with([](Draft& m) { m.attachments = {{"a", "message/rfc822", "x", "", ""}}; }), StartsWith("attachments[0].content_type: such a part"));
  EXPECT_THAT(with([](Draft& m) { m.html = "x", m.attachments = {{"a", "", "x", "", "a>\r\nX: y"}}; }), StartsWith("attachments[0].content_id: it must"));
  EXPECT_THAT(with([](Draft& m) { m.message_id = "a@b>\r\nX: y"; }), StartsWith("message_id: "));
  EXPECT_EQ(with([](Draft& m) { m.text = "\xff"; }), "text: it is not UTF-8");
  EXPECT_EQ(with([](Draft& m) { m.to.clear(); }), "to: there is no recipient");
  EXPECT_THAT(with([](Draft& m) { m.text.clear(); }), StartsWith("text: there is neither"));
  EXPECT_THAT(with([](Draft& m) { m.attachments = {{"a", "", "", "/tmp", ""}}; }), StartsWith("attachments[0].path: it is not a file"));
}

TEST(SmtpMessage, AFileThatIsNotThereIsNoFaultOfTheDraft) {
  Draft mail = draft();
  mail.attachments = {{"a", "", "", "/nonexistent/file", ""}};
  EXPECT_THROW(Message::compose(mail), std::runtime_error);
  EXPECT_THAT([&] { Message::compose(mail); }, ::testing::Throws<std::runtime_error>(::testing::Property(&std::runtime_error::what, HasSubstr("attachments[0].path: the file cannot be opened"))));
}

}  // namespace
}  // namespace smtp_test
