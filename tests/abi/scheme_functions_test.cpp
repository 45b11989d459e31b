// Scheme functions that misbehave: what cannot be told is neither accepted nor refused, and a verify that hangs holds up nobody
// else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "core/base/clock.h"
#include "core/gateway/assembly.h"
#include "tests/abi/support.h"

namespace postern::testing {
namespace {

using signature::Verdict;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> kNoUrls;

http::Request request(const std::string& headers = "X-Signature: 1\r\n") {
  return http::Request::from_parts("POST", "/", headers, "body");
}

class SchemeFunctions : public ::testing::Test {
 protected:
  void SetUp() override {
    made_ = make(plugin_config("p", "verifies"));
    ASSERT_NE(made_.instance, nullptr) << made_.error;
    ASSERT_TRUE(made_.instance->activate());
  }
  const signature::Scheme& scheme(const std::string& name) {
    for (const auto& s : made_.instance->registrations().schemes) {
      if (s->name() == name) return *s;
    }
    throw std::runtime_error("no scheme " + name);
  }
  Verdict verdict(const std::string& name, signature::Explanation* explanation = nullptr) {
    http::Request r = request();
    return scheme(name).verify({r, 1'700'000'000'000, kNoUrls, "192.0.2.1"}, explanation);
  }
  // The last line that `postern verify` would show.
  std::string why(const std::string& name) {
    signature::Explanation explanation;
    EXPECT_EQ(verdict(name, &explanation), Verdict::kUnknown) << name;
    for (const std::string& line : explanation.lines()) EXPECT_THAT(line, Not(HasSubstr("VERY-secret")));
    return explanation.lines().back();
  }

  Made made_;
};

TEST_F(SchemeFunctions, ThatBehave) {
  EXPECT_EQ(verdict("accepts"), Verdict::kAccepted);
  EXPECT_EQ(verdict("denies"), Verdict::kWrong);
  http::Request missing = request(""), doubled = request("X-Signature: 1\r\nx-signature: 1\r\n");
  EXPECT_EQ(scheme("accepts").verify({missing, 0, kNoUrls, ""}, nullptr), Verdict::kMissing);
  EXPECT_EQ(scheme("accepts").verify({doubled, 0, kNoUrls, ""}, nullptr), Verdict::kDoubled);
}

TEST_F(SchemeFunctions, ThatThrowCannotTell) {
  EXPECT_EQ(why("throws"), "the plugin could not tell: exception: index 7 of 3");
  EXPECT_EQ(why("throws_int"), "the plugin could not tell: exception of an unknown type");
  EXPECT_EQ(verdict("accepts"), Verdict::kAccepted);
}

// A status that is not zero must never let a request in.
TEST_F(SchemeFunctions, ThatReturnWhatNobodyKnowsCannotTell) {
  EXPECT_EQ(why("unknown_status"), "the plugin could not tell: the plugin returned the unknown status 4711");
  EXPECT_EQ(why("unknown_failure"), "the plugin could not tell: internal error of the plugin (status -4711)");
  EXPECT_EQ(why("pending"), "the plugin could not tell: the plugin returned the unknown status 1");
  EXPECT_EQ(why("retry"), "the plugin could not tell: the plugin returned the unknown status 2");
  EXPECT_EQ(why("invalid"), "the plugin could not tell: invalid argument (status -1)");
  EXPECT_EQ(why("says_why"), "the plugin could not tell: no public_url");
}

TEST_F(SchemeFunctions, AreNotGivenTheWordsOfAnother) {
  EXPECT_EQ(verdict("stale_error"), Verdict::kAccepted);
  EXPECT_EQ(why("invalid"), "the plugin could not tell: invalid argument (status -1)");
}

TEST_F(SchemeFunctions, ThatTalkAreBounded) {
  signature::Explanation explanation;
  EXPECT_EQ(verdict("talks", &explanation), Verdict::kWrong);
  EXPECT_EQ(explanation.lines().size(), 200u);
  for (const std::string& line : explanation.lines()) EXPECT_LE(line.size(), 2000u);
  EXPECT_EQ(verdict("talks"), Verdict::kWrong) << "in service nobody listens";
}

TEST_F(SchemeFunctions, SignOnlyHeaders) {
  http::Request draft = request("");
  auto added = scheme("accepts").sign({draft, "id", 0, kNoUrls});
  ASSERT_TRUE(added.is_ok()) << added.status().message();
  EXPECT_THAT(*added, ::testing::ElementsAre(std::pair("x-signature", "-1-1-1-1-1")));
  EXPECT_EQ(scheme("denies").sign({draft, "id", 0, kNoUrls}).status().message(), "exception: no clock");
  EXPECT_EQ(scheme("talks").sign({draft, "id", 0, kNoUrls}).status().message(),
            "scheme 'talks' only verifies; its plugin does not sign");
}

// ---- registrations that are refused

struct Refusal {
  const char* which;
  const char* why;
};
const Refusal kRefusals[] = {
    {"without_verify", "scheme 's' has no verify function"},
    {"without_secrets", "scheme 's' has no secret"},
    {"null_secrets", "scheme 's' has no secret"},
    {"empty_secret", "secret 2 of scheme 's' is empty"},
    {"bad_header", "scheme 's': header is not a header name"},
    {"null_functions", "scheme '' has no verify function"},
    {"older", "scheme 's' has no verify function"},
    {"twice", "scheme 's' was added before"},
};

TEST(SchemeFunctionsAtStart, AreRefusedWithAReason) {
  for (const Refusal& refusal : kRefusals) {
    Made made = make("verifies", refusal.which);
    EXPECT_EQ(made.instance, nullptr) << refusal.which;
    EXPECT_EQ(made.error, std::string("plugin p: init: ") + refusal.why);
  }
}

// ---- a verify that hangs

// One verification on the plugin's threads, as a loop asks for it.
class Verification final : public ingest::CallPool::Call {
 public:
  Verification(const signature::Scheme& scheme, const std::string& headers, int64_t within_ms = 3'600'000)
      : Call(steady_ms() + within_ms, 0), scheme_(scheme), request_(request("X-Signature: 1\r\n" + headers)) {}
  void run() override {
    Verdict found = scheme_.verify({request_, 0, kNoUrls, ""}, nullptr);
    std::lock_guard lock(mutex_);
    verdict_ = found;
    changed_.notify_all();
  }
  std::optional<Verdict> wait(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [this] { return verdict_.has_value(); });
    return verdict_;
  }

 private:
  const signature::Scheme& scheme_;
  const http::Request request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Verdict> verdict_;
};

class HangingVerify : public ::testing::Test {
 protected:
  void SetUp() override {
    gate_ = ::eventfd(0, EFD_CLOEXEC);
    config::Config config;
    config.max_body = 1000;
    config.plugins = {plugin_config("bad", "verifies"), plugin_config("good", "replies")};
    assembly_ = gateway::Assembly::make(config, faults_);
    ASSERT_TRUE(faults_.empty()) << faults_[0].message;
    ASSERT_TRUE(assembly_->activate());
  }
  void TearDown() override {
    ASSERT_EQ(::eventfd_write(gate_, 1), 0);
    EXPECT_TRUE(assembly_->stop_calls(10'000)) << "a thread is left inside the plugin";
    assembly_->deactivate(0);
    assembly_.reset();
    ::close(gate_);
  }
  const ingest::Route& route(const std::string& path) {
    for (const auto& r : assembly_->routes().routes()) {
      if (r->path == path) return *r;
    }
    throw std::runtime_error("no route " + path);
  }
  std::shared_ptr<Verification> verification(const std::string& name, int64_t within_ms = 3'600'000) {
    return std::make_shared<Verification>(*route("/verify/" + name).schemes.at(0).scheme,
                                          "x-gate: " + std::to_string(gate_) + "\r\n", within_ms);
  }

  int gate_ = -1;
  std::vector<config::Fault> faults_;
  std::unique_ptr<gateway::Assembly> assembly_;
};

constexpr auto kSoon = std::chrono::seconds(10);

TEST_F(HangingVerify, HasThreadsOfItsPluginAlone) {
  const auto& verifying = route("/verify/hangs").schemes.at(0).verifying;
  ASSERT_NE(verifying, nullptr);
  EXPECT_EQ(route("/verify/accepts").schemes.at(0).verifying, verifying) << "one pool for the plugin";
  EXPECT_EQ(route("/verify/hangs").replying, nullptr) << "it has no reply route";
  ASSERT_NE(route("/well").replying, nullptr);
  EXPECT_NE(route("/well").replying, verifying);
  EXPECT_EQ(verifying->status().threads, 0u) << "none before the first call";
}

TEST_F(HangingVerify, IsReplacedPastItsDeadlineButNotWithoutEnd) {
  ingest::CallPool& pool = *route("/verify/hangs").schemes.at(0).verifying;
  uint32_t hung = 0;
  while (hung < 100 && pool.submit(verification("hangs", -1))) {
    ++hung;
    for (int64_t until = steady_ms() + 10'000; pool.status().waiting > 0 && steady_ms() < until;) std::this_thread::yield();
    if (pool.status().waiting > 0) break;
  }
  EXPECT_GE(hung, 2u);
  EXPECT_LT(hung, 100u) << "each stuck thread holds its memory";
  EXPECT_EQ(pool.status().threads, hung);
  // All are stuck: nothing more is taken, and nobody waits for it.
  EXPECT_FALSE(pool.submit(verification("accepts")));
  // The other plugin works on.
  std::string end;
  auto reply = std::make_shared<ingest::Reply>(ingest::Reply::Asked{},
                                               [&](ingest::Reply::End e) { end = e.response ? e.response->body : e.why; });
  route("/well").reply(reply);
  EXPECT_EQ(end, "fine");
  // And this one again, when its threads come back.
  ASSERT_EQ(::eventfd_write(gate_, 1), 0);
  for (int64_t until = steady_ms() + 10'000; pool.status().threads > 0 && steady_ms() < until;) std::this_thread::yield();
  auto next = verification("accepts");
  ASSERT_TRUE(pool.submit(next));
  EXPECT_EQ(next->wait(kSoon), Verdict::kAccepted);
}

TEST_F(HangingVerify, LetsTheGatewayStopInTime) {
  auto hanging = verification("hangs");
  ingest::CallPool& pool = *route("/verify/hangs").schemes.at(0).verifying;
  ASSERT_TRUE(pool.submit(hanging));
  for (int64_t until = steady_ms() + 10'000; pool.status().waiting > 0 && steady_ms() < until;)
    std::this_thread::yield();
  int64_t begin = steady_ms();
  EXPECT_FALSE(assembly_->stop_calls(100)) << "the assembly must not be destroyed now";
  EXPECT_LT(steady_ms() - begin, 5'000);
  EXPECT_FALSE(pool.submit(verification("accepts"))) << "and nothing new begins";
  ASSERT_EQ(::eventfd_write(gate_, 1), 0);
  EXPECT_EQ(hanging->wait(kSoon), Verdict::kAccepted);
  EXPECT_TRUE(assembly_->stop_calls(10'000));
}

}  // namespace
}  // namespace postern::testing
