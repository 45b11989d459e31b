// A plugin's own signature scheme: how it is registered, and how the host calls it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/http.h>
#include <postern/ext/schemes.h>

#include <stdexcept>

#include "core/extension/table.h"
#include "core/plugin/host.h"
#include "core/signature/scheme.h"

namespace postern::extension {
namespace {

using signature::Verdict;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string text(postern_str s) { return s.ptr == nullptr ? std::string() : std::string(s.ptr, s.len); }

const postern_ext_schemes& schemes_table() {
  return *static_cast<const postern_ext_schemes*>(host_api().get_extension(nullptr, str(POSTERN_EXT_SCHEMES)));
}
const postern_ext_http& http_table() {
  return *static_cast<const postern_ext_http*>(host_api().get_extension(nullptr, str(POSTERN_EXT_HTTP)));
}

// What the "plugin" does when it is called, and what it was given as `user`.
struct Plugin {
  std::function<postern_status(const postern_request*, int64_t, const postern_str*, size_t, postern_explain*)> verify =
      [](const postern_request*, int64_t, const postern_str*, size_t, postern_explain*) { return POSTERN_OK; };
  std::function<postern_status(const postern_request*, int64_t, postern_str, postern_signing*)> sign;
  postern_instance* self_seen = nullptr;
};

postern_status verify(postern_instance* self, void* user, const postern_request* request, int64_t now_ms,
                      const postern_str* secrets, size_t secrets_len, postern_explain* explain) {
  auto& plugin = *static_cast<Plugin*>(user);
  plugin.self_seen = self;
  return plugin.verify(request, now_ms, secrets, secrets_len, explain);
}

postern_status sign(postern_instance*, void* user, const postern_request* request, int64_t now_ms, postern_str secret,
                    postern_signing* signing) {
  return static_cast<Plugin*>(user)->sign(request, now_ms, secret, signing);
}

class SchemeFunctions : public ::testing::Test {
 protected:
  SchemeFunctions() {
    host_.name = "p";
    host_.self = reinterpret_cast<postern_instance*>(&plugin_);
    host_.phase = postern_host::Phase::kInit;
  }
  postern_scheme_functions desc() {
    postern_scheme_functions d{};
    d.struct_size = sizeof d;
    d.name = str("odd");
    d.header = str("X-Odd");
    d.secrets = secrets_;
    d.secrets_len = 2;
    d.verify = verify;
    d.user = &plugin_;
    return d;
  }
  postern_status add(const postern_scheme_functions& d) { return schemes_table().add_functions(&host_, &d); }
  const signature::Scheme& added(const postern_scheme_functions& d) {
    EXPECT_EQ(add(d), POSTERN_OK) << host_.registrations.refusal;
    return *host_.registrations.schemes.back();
  }
  void expect_refused(const postern_scheme_functions& d, const std::string& why) {
    EXPECT_EQ(add(d), POSTERN_E_INVALID);
    EXPECT_EQ(host_.registrations.refusal, why);
    EXPECT_TRUE(host_.registrations.schemes.empty());
  }
  Verdict verdict(const signature::Scheme& scheme, signature::Explanation* explanation = nullptr) {
    http::Request request = http::Request::from_parts("POST", "/hook", "X-Odd: 1\r\n", "body");
    return scheme.verify({request, 4711, urls_, "192.0.2.1"}, explanation);
  }

  Plugin plugin_;
  postern_host host_;
  postern_str secrets_[2] = {str("new secret"), str("old secret")};
  std::vector<std::string> urls_ = {"https://a.test/hook"};
};

// ---- registration

TEST_F(SchemeFunctions, AreTakenInInitAlone) {
  for (auto phase :
       {postern_host::Phase::kCreated, postern_host::Phase::kReady, postern_host::Phase::kActive, postern_host::Phase::kDown}) {
    host_.phase = phase;
    EXPECT_EQ(add(desc()), POSTERN_E_STATE);
    EXPECT_TRUE(host_.registrations.schemes.empty());
  }
}

TEST_F(SchemeFunctions, NeedAVerify) {
  auto d = desc();
  d.verify = nullptr;
  expect_refused(d, "scheme 'odd' has no verify function");
  // As long as a plugin says that was built before there was one.
  d = desc();
  d.struct_size = offsetof(postern_scheme_functions, verify);
  expect_refused(d, "scheme 'odd' has no verify function");
  EXPECT_EQ(schemes_table().add_functions(&host_, nullptr), POSTERN_E_INVALID);
}

TEST_F(SchemeFunctions, NeedSecrets) {
  auto d = desc();
  d.secrets_len = 0;
  expect_refused(d, "scheme 'odd' has no secret");
  d.secrets = nullptr;
  expect_refused(d, "scheme 'odd' has no secret");
  d = desc();
  for (postern_str empty : {str(""), postern_str{nullptr, 0}, postern_str{nullptr, 7}}) {
    secrets_[1] = empty;
    expect_refused(d, "secret 2 of scheme 'odd' is empty");
  }
  EXPECT_THAT(plugin::take_error(), Not(HasSubstr("new secret")));
}

TEST_F(SchemeFunctions, NeedAHeaderThatIsOne) {
  for (std::string_view header : {"", "X Odd", "X-Odd:"}) {
    auto d = desc();
    d.header = str(header);
    expect_refused(d, "scheme 'odd': header is not a header name");
  }
}

TEST_F(SchemeFunctions, HaveANameOfTheirOwnAmongAllSchemes) {
  EXPECT_EQ(add(desc()), POSTERN_OK);
  EXPECT_EQ(add(desc()), POSTERN_E_INVALID);
  EXPECT_EQ(host_.registrations.refusal, "scheme 'odd' was added before");
  postern_scheme_desc described{};
  described.struct_size = sizeof described;
  described.algorithm = POSTERN_HMAC_SHA256;
  described.name = str("odd");
  described.header = str("x-signature");
  described.signature_encoding = POSTERN_ENCODING_HEX;
  described.secret_encoding = POSTERN_SECRET_RAW;
  described.secrets = secrets_;
  described.secrets_len = 1;
  EXPECT_EQ(schemes_table().add(&host_, &described), POSTERN_E_INVALID);
  EXPECT_EQ(host_.registrations.schemes.size(), 1u);
}

TEST_F(SchemeFunctions, BorrowNothing) {
  std::string name = "odd", header = "X-Odd", secret = "new secret";
  auto d = desc();
  d.name = str(name);
  d.header = str(header);
  secrets_[0] = str(secret);
  const signature::Scheme& scheme = added(d);
  for (std::string* each : {&name, &header, &secret}) each->assign(each->size(), '#');
  d = {};
  EXPECT_EQ(scheme.name(), "odd");
  EXPECT_EQ(scheme.header(), "X-Odd");
  plugin_.verify = [](const postern_request*, int64_t, const postern_str* secrets, size_t len, postern_explain*) {
    return len == 2 && text(secrets[0]) == "new secret" && text(secrets[1]) == "old secret" ? POSTERN_OK : POSTERN_E_DENIED;
  };
  EXPECT_EQ(verdict(scheme), Verdict::kAccepted);
}

// ---- verify

TEST_F(SchemeFunctions, AreGivenWhatTheyNeed) {
  plugin_.verify = [](const postern_request* request, int64_t now_ms, const postern_str*, size_t, postern_explain* explain) {
    postern_str value{};
    EXPECT_EQ(text(http_table().method(request)), "POST");
    EXPECT_EQ(text(http_table().body(request)), "body");
    EXPECT_EQ(text(http_table().remote(request)), "192.0.2.1");
    EXPECT_EQ(http_table().header(request, str("x-odd"), 0, &value), POSTERN_OK);
    EXPECT_EQ(http_table().url(request, 0, &value), POSTERN_OK);
    EXPECT_EQ(text(value), "https://a.test/hook");
    EXPECT_EQ(now_ms, 4711);
    EXPECT_EQ(explain, nullptr);
    schemes_table().explain(explain, str("nobody hears it"));
    return POSTERN_OK;
  };
  EXPECT_EQ(verdict(added(desc())), Verdict::kAccepted);
  EXPECT_EQ(plugin_.self_seen, host_.self) << "as it is when it is called, not as it was in init";
}

TEST_F(SchemeFunctions, AcceptByOkAloneAndDenyByDeniedAlone) {
  const signature::Scheme& scheme = added(desc());
  postern_status status = POSTERN_OK;
  plugin_.verify = [&](const postern_request*, int64_t, const postern_str*, size_t, postern_explain*) { return status; };
  EXPECT_EQ(verdict(scheme), Verdict::kAccepted);
  status = POSTERN_E_DENIED;
  EXPECT_EQ(verdict(scheme), Verdict::kWrong);
  for (postern_status other :
       {POSTERN_PENDING, POSTERN_RETRY, POSTERN_DEAD, POSTERN_E_INVALID, POSTERN_E_UNSUPPORTED, POSTERN_E_STATE,
        POSTERN_E_TIMEOUT, POSTERN_E_LIMIT, POSTERN_E_GONE, POSTERN_E_INTERNAL, POSTERN_E_NOT_FOUND}) {
    status = other;
    EXPECT_EQ(verdict(scheme), Verdict::kUnknown) << status;
  }
  for (postern_status unknown : {4, 4711, INT32_MAX, -10, -4711, INT32_MIN}) {
    status = unknown;
    signature::Explanation explanation;
    EXPECT_EQ(verdict(scheme, &explanation), Verdict::kUnknown) << status;
    EXPECT_THAT(explanation.lines().back(), HasSubstr(std::to_string(unknown)));
  }
}

TEST_F(SchemeFunctions, AreContained) {
  const signature::Scheme& scheme = added(desc());
  signature::Explanation explanation;
  plugin_.verify = [](const postern_request*, int64_t, const postern_str*, size_t, postern_explain*) -> postern_status {
    throw std::runtime_error("out of luck");
  };
  EXPECT_EQ(verdict(scheme, &explanation), Verdict::kUnknown);
  EXPECT_EQ(explanation.lines().back(), "the plugin could not tell: exception: out of luck");
  plugin_.verify = [](const postern_request*, int64_t, const postern_str*, size_t, postern_explain*) -> postern_status {
    throw 7;
  };
  EXPECT_EQ(verdict(scheme, &explanation), Verdict::kUnknown);
  EXPECT_EQ(explanation.lines().back(), "the plugin could not tell: exception of an unknown type");
}

TEST_F(SchemeFunctions, ExplainWhereTheyAreAsked) {
  plugin_.verify = [](const postern_request*, int64_t, const postern_str*, size_t, postern_explain* explain) {
    std::string line = "tried 1 URL";
    schemes_table().explain(explain, str(line));
    line = "###########";
    schemes_table().explain(explain, {nullptr, 0});
    return POSTERN_E_DENIED;
  };
  signature::Explanation explanation;
  EXPECT_EQ(verdict(added(desc()), &explanation), Verdict::kWrong);
  EXPECT_THAT(explanation.lines(), ElementsAre("header X-Odd: there", "tried 1 URL", ""));
}

// ---- sign

TEST_F(SchemeFunctions, SignWhereTheyCan) {
  http::Request draft = http::Request::from_parts("POST", "/hook", "", "body");
  EXPECT_THAT(added(desc()).sign({draft, "id", 4711, urls_}).status().message(), HasSubstr("only verifies"));
  host_.registrations.schemes.clear();
  plugin_.sign = [](const postern_request* request, int64_t now_ms, postern_str secret, postern_signing* signing) {
    EXPECT_EQ(text(http_table().body(request)), "body");
    EXPECT_EQ(now_ms, 4711);
    EXPECT_EQ(text(secret), "new secret");
    std::string name = "X-Odd", value = "signature";
    EXPECT_EQ(schemes_table().add_header(signing, str(name), str(value)), POSTERN_OK);
    name = value = "#";
    for (std::string_view bad : {"", "X Odd", "X-Odd\r\n"})
      EXPECT_EQ(schemes_table().add_header(signing, str(bad), str("1")), POSTERN_E_INVALID);
    EXPECT_EQ(schemes_table().add_header(signing, str("X-B"), str("a\r\nX-Evil: 1")), POSTERN_E_INVALID);
    return schemes_table().add_header(signing, str("X-C"), {nullptr, 0});
  };
  auto d = desc();
  d.sign = sign;
  auto headers = added(d).sign({draft, "id", 4711, urls_});
  ASSERT_TRUE(headers.is_ok()) << headers.status().message();
  EXPECT_THAT(*headers, ElementsAre(std::pair("X-Odd", "signature"), std::pair("X-C", "")));
}

TEST_F(SchemeFunctions, TellWhyTheyCouldNotSign) {
  http::Request draft = http::Request::from_parts("POST", "/hook", "", "body");
  auto d = desc();
  d.sign = sign;
  const signature::Scheme& scheme = added(d);
  plugin_.sign = [this](const postern_request*, int64_t, postern_str, postern_signing*) {
    host_api().set_error(&host_, str("no public_url"));
    return POSTERN_E_STATE;
  };
  EXPECT_EQ(scheme.sign({draft, "id", 4711, urls_}).status().message(), "no public_url");
  plugin_.sign = [](const postern_request*, int64_t, postern_str, postern_signing*) -> postern_status {
    throw std::runtime_error("no clock");
  };
  EXPECT_EQ(scheme.sign({draft, "id", 4711, urls_}).status().message(), "exception: no clock");
}

}  // namespace
}  // namespace postern::extension
