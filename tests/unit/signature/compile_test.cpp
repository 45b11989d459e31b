// What DescribedScheme::compile() refuses, and what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/signature/scheme_support.h"

namespace postern::signature {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string fault(SchemeDescription description) {
  const auto result = DescribedScheme::compile(std::move(description));
  return result ? "compiled" : result.status().message();
}

struct Case {
  const char* what;
  std::function<SchemeDescription()> base;
  std::function<void(SchemeDescription&)> change;
  const char* expected;
};

const Case kCases[] = {
    {"unknown placeholder in format", testing::plain, [](auto& d) { d.format = "{signature}{body}"; },
     "unknown placeholder {body}"},
    {"unknown placeholder in signed_bytes", testing::plain, [](auto& d) { d.signed_bytes = "{url}{body}"; },
     "placeholder {url}"},
    {"signature in signed_bytes", testing::plain, [](auto& d) { d.signed_bytes = "{signature}{body}"; },
     "placeholder {signature}"},
    {"open brace", testing::plain, [](auto& d) { d.format = "{signature"; }, "unmatched brace"},
    {"closing brace", testing::plain, [](auto& d) { d.signed_bytes = "}{body}"; }, "unmatched brace"},
    {"no signature", testing::plain,
     [](auto& d) {
       d.format = "t={timestamp}";
       d.separator = ",";
     },
     "no {signature}"},
    {"alternative without placeholder", testing::plain, [](auto& d) { d.format = "{signature}|none"; },
     "without a placeholder"},
    {"empty alternative", testing::plain, [](auto& d) { d.format = "{signature}|"; }, "without a placeholder"},
    {"signature twice", testing::plain, [](auto& d) { d.format = "{signature}.{signature}"; }, "twice"},
    {"placeholders side by side", testing::complete, [](auto& d) { d.format = "{timestamp}{signature}"; },
     "side by side"},
    {"blank at the end", testing::plain, [](auto& d) { d.format = "{signature} "; }, "begins or ends with a blank"},
    {"blank at the start", testing::keyed, [](auto& d) { d.format = "t={timestamp}| v1={signature}"; },
     "begins or ends with a blank"},
    {"digit after timestamp", testing::complete, [](auto& d) { d.format = "{timestamp}0{signature}"; },
     "digit right after"},
    {"timestamp alone without separator", testing::keyed, [](auto& d) { d.separator = ""; }, "needs a separator"},
    {"timestamp in two roles", testing::keyed, [](auto& d) { d.format = "t={timestamp}|v={timestamp}.{signature}"; },
     "one role"},
    {"only one of two has a timestamp", testing::complete, [](auto& d) { d.format += "|v={signature}"; }, "one role"},
    {"too many parts", testing::plain,
     [](auto& d) {
       for (int i = 0; i < 9; ++i) d.signed_bytes += ".{body}";
     },
     "too many parts"},
    {"line break in format", testing::plain, [](auto& d) { d.format = "a\r\n{signature}"; }, "not printable"},
    {"long separator", testing::listed, [](auto& d) { d.separator = ", "; }, "longer than one"},
    {"separator of the signature's alphabet", testing::listed, [](auto& d) { d.separator = "="; },
     "signature may have"},
    {"separator inside format", testing::listed, [](auto& d) { d.separator = ","; }, "inside format"},
    {"no body", testing::listed, [](auto& d) { d.signed_bytes = "{id}.{timestamp}"; }, "no {body}"},
    {"empty signed_bytes", testing::plain, [](auto& d) { d.signed_bytes = ""; }, "no {body}"},
    {"id without header", testing::listed, [](auto& d) { d.id_header = ""; }, "no id_header"},
    {"id runs into the body", testing::listed, [](auto& d) { d.signed_bytes = "{timestamp}.{id}{body}"; },
     "between {id}"},
    {"timestamp from nowhere", testing::listed, [](auto& d) { d.timestamp_header = ""; }, "neither format nor"},
    {"timestamp from two places", testing::keyed, [](auto& d) { d.timestamp_header = "x-t"; }, "one of them"},
    {"timestamp in format, unsigned", testing::keyed, [](auto& d) { d.signed_bytes = "{body}"; }, "is not signed"},
    {"timestamp in a header, unsigned", testing::listed, [](auto& d) { d.signed_bytes = "{id}.{body}"; },
     "is not signed"},
    {"no header", testing::plain, [](auto& d) { d.header = ""; }, "header is not a header name"},
    {"header with a space", testing::plain, [](auto& d) { d.header = "x signature"; }, "header is not a header name"},
    {"header with a colon", testing::plain, [](auto& d) { d.header = "x:"; }, "header is not a header name"},
    {"timestamp header", testing::listed, [](auto& d) { d.timestamp_header = "x\n"; }, "timestamp_header is not"},
    {"id header", testing::listed, [](auto& d) { d.id_header = "\xc3\xa9"; }, "id_header is not"},
    {"one header, two roles", testing::listed, [](auto& d) { d.timestamp_header = "X-Signature"; }, "two roles"},
    {"one header for id and timestamp", testing::listed, [](auto& d) { d.id_header = "X-TIMESTAMP"; }, "two roles"},
    {"tolerance", testing::listed, [](auto& d) { d.tolerance_s = 24 * 3600 + 1; }, "over 24 hours"},
    {"no secrets", testing::plain, [](auto& d) { d.secrets.clear(); }, "scheme 'plain' has no secret"},
    {"empty secret", testing::plain,
     [](auto& d) {
       d.secrets = {"good", ""};
     },
     "secret 2 of scheme 'plain' is empty"},
    {"only the prefix", testing::plain,
     [](auto& d) {
       d.secrets = {"whsec_"};
       d.secret_encoding = SecretEncoding::kWhsec;
     },
     "secret 1 of scheme 'plain' is empty"},
};

TEST(SignatureCompile, RefusesWhatMakesNoSense) {
  for (const Case& c : kCases) {
    SchemeDescription description = c.base();
    ASSERT_EQ(fault(description), "compiled");
    c.change(description);
    EXPECT_THAT(fault(std::move(description)), HasSubstr(c.expected)) << c.what;
  }
}

TEST(SignatureCompile, ErrorsNeverShowSecrets) {
  auto d = testing::plain();
  d.secret_encoding = SecretEncoding::kBase64;
  d.secrets = {"Zm9v", "hunter2!hunter2!"};
  const std::string message = fault(d);
  EXPECT_EQ(message, "secret 2 of scheme 'plain' is not base64");
  d.format = "nothing";
  EXPECT_THAT(fault(d), Not(HasSubstr("hunter2")));
}

TEST(SignatureCompile, KeepsTheDescriptionWithoutTheSecrets) {
  auto d = testing::listed();
  d.tolerance_s = 0;
  d.format = "";
  const DescribedScheme s = testing::scheme(d);
  EXPECT_EQ(s.name(), "listed");
  EXPECT_TRUE(s.description().secrets.empty());
  EXPECT_EQ(s.description().tolerance_s, 300u);
  EXPECT_EQ(s.description().format, "{signature}");
  d.tolerance_s = 24 * 3600;
  EXPECT_EQ(fault(d), "compiled");
}

}  // namespace
}  // namespace postern::signature
