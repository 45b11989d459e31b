// Listeners with TLS and the PROXY protocol, as curl and openssl see them.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>

#include "tests/integration/openphone_test.h"
#include "tests/integration/refusals.h"
#include "tests/support/tls_material.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class TlsListener : public ::testing::Test {
 protected:
  TlsListener() { listen("{certificate: " + pair_.certificate + ", key: " + pair_.key + "}"); }

  // The plain listener stays the first.
  void listen(const std::string& tls, const std::string& more = "") {
    const std::string plain = "127.0.0.1:" + std::to_string(gateway_.port());
    std::string yaml = gateway_.config();
    const size_t at = yaml.find("listen: ["), end = yaml.find('\n', at);
    ASSERT_NE(at, std::string::npos);
    const std::string secure = "{address: 127.0.0.1:" + std::to_string(port_) + ", " + more + "tls: " + tls + "}";
    gateway_.write_config(yaml.replace(at, end - at, "listen: [" + plain + ", " + secure + "]"));
  }
  Finished curl(std::vector<std::string> args, const std::string& host = "a.test") const {
    const std::string authority = host + ":" + std::to_string(port_);
    std::vector<std::string> all{"--silent",  "--show-error",   "--max-time", "20",
                                 "--cacert", authority_.file, "--resolve",  authority + ":127.0.0.1"};
    all.insert(all.end(), args.begin(), args.end());
    all.push_back("https://" + authority + "/health");
    return run("curl", all);
  }
  std::string subject(const std::string& host) const {
    return curl({"--verbose"}, host).err;
  }

  Gateway gateway_;
  uint16_t port_ = free_port();
  TlsMaterial material_;
  TlsMaterial::Authority authority_ = material_.authority("authority");
  TlsMaterial::Pair pair_ = material_.pair(authority_, "first", "DNS:a.test,DNS:localhost,IP:127.0.0.1");
};

// Attack: handshakes cost more than requests, and whoever ends the connection then never asks for anything.
TEST_F(TlsListener, CountsConnectionsAgainstTheClientsRate) {
  std::string yaml = gateway_.config();
  gateway_.write_config(yaml.insert(yaml.find("admin:"), "  rate_per_client: 2/h\n"));
  gateway_.start();
  EXPECT_FALSE(WireClient::tcp("127.0.0.1", port_).closes_silently(milliseconds(200))) << "the first is waited for";
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(WireClient::tcp("127.0.0.1", port_).closes_silently()) << i;
  EXPECT_THAT(refusals_of(gateway_), HasSubstr("postern_refusals_total{status=\"503\",reason=\"client_rate\"} 5"));
}

TEST_F(TlsListener, ServesCurlOfEachVersion) {
  gateway_.start();
  for (const char* version : {"1.2", "1.3"}) {
    Finished done = curl({"--verbose", "--tlsv1.2", "--tls-max", version});
    EXPECT_EQ(done.exit.code, 0) << done.err;
    EXPECT_THAT(done.out, HasSubstr("healthy"));
    EXPECT_THAT(done.err, HasSubstr(std::string("SSL connection using TLSv") + version));
    EXPECT_THAT(done.err, HasSubstr("http/1.1"));
  }
  EXPECT_NE(curl({"--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"}).exit.code, 0);
  Finished plain = run("curl", {"--silent", "--max-time", "20", "http://127.0.0.1:" + std::to_string(port_) + "/health"});
  EXPECT_EQ(plain.exit.code, 52) << "closed without an answer";
  EXPECT_TRUE(gateway_.logs("TLS handshake failed"));
  EXPECT_THAT(refusals_of(gateway_), HasSubstr(R"({status="other",reason="tls_handshake"} 2)"));
  EXPECT_TRUE(gateway_.logs("http request"));
}

TEST_F(TlsListener, ResumesSessionsOfOpenssl) {
  gateway_.start();
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const std::string session = material_.folder() + "/session", at = "127.0.0.1:" + std::to_string(port_);
    auto visit = [&](const char* option) {
      const std::string request = R"(printf 'GET /health HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')";
      const std::string client = "openssl s_client -connect " + at + " -ign_eof -nocommands " + version + " " + option + " " + session;
      return run("bash", {"-c", request + " | " + client});
    };
    EXPECT_THAT(visit("-sess_out").out, HasSubstr("New, TLSv1"));
    Finished again = visit("-sess_in");
    EXPECT_THAT(again.out, HasSubstr("Reused, TLSv1"));
    EXPECT_THAT(again.out, HasSubstr("healthy"));
    gateway_.command({"reload"}, milliseconds(60'000));
    EXPECT_THAT(visit("-sess_in").out, HasSubstr("Reused, TLSv1")) << "also after a reload";
  }
}

TEST_F(TlsListener, ChoosesByName) {
  auto other = material_.pair(authority_, "second", "DNS:*.b.test");
  auto item = [](const TlsMaterial::Pair& pair) { return "{certificate: " + pair.certificate + ", key: " + pair.key + "}"; };
  listen("{certificates: [" + item(pair_) + ", " + item(other) + "]}");
  gateway_.start();
  EXPECT_THAT(subject("a.test"), HasSubstr("CN=first"));
  EXPECT_THAT(subject("x.b.test"), HasSubstr("CN=second"));
}

TEST_F(TlsListener, AsksForClientCertificates) {
  auto clients = material_.authority("clients");
  auto mine = material_.pair(clients, "me", "");
  listen("{certificate: " + pair_.certificate + ", key: " + pair_.key + ", client_ca: " + clients.file + "}");
  gateway_.start();
  EXPECT_NE(curl({}).exit.code, 0);
  EXPECT_EQ(curl({"--cert", mine.certificate, "--key", mine.key}).exit.code, 0);
  EXPECT_NE(curl({"--cert", pair_.certificate, "--key", pair_.key}).exit.code, 0);
}

TEST_F(TlsListener, AReloadSwapsCertificatesAndKeepsConnections) {
  gateway_.start();
  const std::string at = "127.0.0.1:" + std::to_string(port_);
  const std::string go_on = material_.folder() + "/go_on";
  // A connection that asks once before the reload and once after it.
  const std::string once = R"(printf 'GET /health HTTP/1.1\r\nHost: a.test\r\n\r\n')";
  const std::string again = R"(printf 'GET /api/health HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')";
  const std::string script = "(" + once + "; while [ ! -e " + go_on + " ]; do sleep 0.05; done; " + again + ")";
  Process held({.program = "bash",
                .args = {"-c", script + " | openssl s_client -connect " + at + " -ign_eof -nocommands"},
                .env = {},
                .out_file = "",
                .err_file = ""});
  ASSERT_TRUE(held.wait_for_line("healthy", milliseconds(10'000)));
  auto renewed = material_.pair(authority_, "renewed", "DNS:a.test");
  std::filesystem::rename(renewed.certificate, pair_.certificate);
  Finished refused = gateway_.command({"reload"}, milliseconds(60'000));
  EXPECT_EQ(refused.exit.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("gateway.yaml:2:")) << "the place in the file";
  EXPECT_THAT(refused.err, HasSubstr("does not belong to the certificate"));
  EXPECT_THAT(subject("a.test"), HasSubstr("CN=first")) << "a reload that fails changes nothing";
  std::filesystem::rename(renewed.key, pair_.key);
  Finished reloaded = gateway_.command({"reload"}, milliseconds(60'000));
  EXPECT_EQ(reloaded.exit.code, 0) << reloaded.err;
  EXPECT_THAT(reloaded.out, Not(HasSubstr("next start")));
  EXPECT_THAT(subject("a.test"), HasSubstr("CN=renewed"));
  material_.text("go_on", "");
  EXPECT_TRUE(held.wait_for_line("overall_status", milliseconds(10'000)));
}

TEST_F(TlsListener, CheckTellsOfCertificates) {
  Finished good = gateway_.command({"check"});
  EXPECT_EQ(good.exit.code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("CN = first, for a.test, localhost"));
  EXPECT_THAT(good.out, HasSubstr("expires soon"));
  auto expired = material_.pair(authority_, "expired", "DNS:a.test", -60);
  listen("{certificate: " + expired.certificate + ", key: " + expired.key + "}");
  Finished old = gateway_.command({"check"});
  EXPECT_EQ(old.exit.code, 0);
  EXPECT_THAT(old.out, HasSubstr("has expired"));
  listen("{certificate: /nowhere.pem, key: " + pair_.certificate + "}");
  Finished bad = gateway_.command({"check"});
  EXPECT_EQ(bad.exit.code, 1);
  EXPECT_THAT(bad.err, HasSubstr("certificate '/nowhere.pem' does not exist"));
  EXPECT_THAT(bad.err, HasSubstr("has no private key in PEM"));
}

TEST_F(TlsListener, SendSpeaksTls) {
  gateway_.start();
  const std::string to = "https://127.0.0.1:" + std::to_string(port_);
  Finished checked = gateway_.command({"send", "openphone", "message.received", "--to", to, "--cacert", authority_.file});
  EXPECT_EQ(checked.exit.code, 0) << checked.err;
  EXPECT_THAT(checked.out, HasSubstr("queued"));
  Finished stranger = gateway_.command({"send", "openphone", "message.received", "--to", to});
  EXPECT_EQ(stranger.exit.code, 1);
  EXPECT_THAT(stranger.err, HasSubstr("--cacert"));
  EXPECT_EQ(gateway_.command({"send", "openphone", "message.received", "--to", to, "--insecure"}).exit.code, 0);
  // The first listener, as the configuration has it.
  std::string yaml = gateway_.config();
  const std::string plain = "127.0.0.1:" + std::to_string(gateway_.port()) + ", ";
  gateway_.write_config(yaml.erase(yaml.find(plain), plain.size()));
  EXPECT_EQ(gateway_.command({"send", "openphone", "message.received"}).exit.code, 0);
}

TEST_F(TlsListener, TheProxyProtocolNamesTheClientBeforeTheHandshake) {
  std::string yaml = gateway_.config();
  gateway_.write_config(yaml.insert(yaml.find("admin:"), "  trusted_proxies: [127.0.0.1]\n"));
  listen("{certificate: " + pair_.certificate + ", key: " + pair_.key + "}", "proxy_protocol: true, ");
  gateway_.start();
  EXPECT_EQ(curl({"--haproxy-protocol"}).exit.code, 0);
  EXPECT_NE(curl({}).exit.code, 0) << "without a header";
  EXPECT_TRUE(gateway_.logs("no PROXY header came first"));
  EXPECT_THAT(refusals_of(gateway_), HasSubstr(R"({status="other",reason="proxy_header"} 1)"));
}

// Restarts it with a second listener, which wants a PROXY header; returns its port.
uint16_t listen_behind_proxy(Gateway& gateway) {
  std::string yaml = gateway.config();
  const uint16_t port = free_port();
  const std::string address = "127.0.0.1:" + std::to_string(gateway.port());
  const size_t at = yaml.find("listen: ["), end = yaml.find('\n', at);
  yaml.replace(at, end - at, "listen: [" + address + ", {address: \"127.0.0.1:" + std::to_string(port) + "\", proxy_protocol: true}]");
  gateway.write_config(yaml);
  gateway.restart();
  return port;
}

// Attack: a header that names nobody leaves the proxy's own address, which is trusted: the client could choose its own by HTTP.
TEST(ProxyProtocol, AClientThatItDoesNotNameHasNoSay) {
  Gateway gateway({.gateway = "  trusted_proxies: [127.0.0.1]\n  rate_per_client: 2/h\n"});
  const uint16_t port = listen_behind_proxy(gateway);
  auto ask = [&](const std::string& proxy_header, const std::string& forwarded_for) {
    WireClient client = WireClient::tcp("127.0.0.1", port);
    client.send(proxy_header + request_text("GET", "/health", {{"X-Forwarded-For", forwarded_for}}));
    auto response = client.read_response();
    return response ? response->status : 0;
  };
  const std::string local("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
  EXPECT_EQ(ask("PROXY UNKNOWN\r\n", "192.0.2.1"), 200);
  EXPECT_EQ(ask("PROXY UNKNOWN\r\n", "192.0.2.2"), 429) << "all of them are one";
  EXPECT_EQ(ask(local, "192.0.2.3"), 429);
  EXPECT_EQ(ask("PROXY TCP4 192.0.2.4 192.0.2.250 4711 80\r\n", "192.0.2.5"), 200);
  EXPECT_EQ(ask("PROXY TCP4 192.0.2.4 192.0.2.250 4711 80\r\n", "192.0.2.6"), 429);
}

TEST(ProxyProtocol, TheClientThatItNamesHasItsShareOfConnections) {
  Gateway gateway({.gateway = "  max_connections_per_client: 2\n  trusted_proxies: [127.0.0.1]\n"});
  const uint16_t port = listen_behind_proxy(gateway);
  std::vector<WireClient> open;
  auto serves = [&](const std::string& client) {
    open.push_back(WireClient::tcp("127.0.0.1", port));
    open.back().send("PROXY TCP4 " + client + " 192.0.2.250 4711 80\r\n" + request_text("GET", "/health", {}));
    auto response = open.back().read_response();
    return response && response->status == 200;
  };
  EXPECT_TRUE(serves("192.0.2.1"));
  EXPECT_TRUE(serves("192.0.2.1"));
  EXPECT_FALSE(serves("192.0.2.1"));
  EXPECT_TRUE(open.back().ended());
  EXPECT_TRUE(serves("192.0.2.2")) << "another client";
  EXPECT_THAT(refusals_of(gateway), HasSubstr(R"(reason="client_connections"} 1)"));
  open.front().close();
  EXPECT_TRUE(eventually(milliseconds(10'000), [&] { return serves("192.0.2.1"); })) << "one has gone";
}

}  // namespace
}  // namespace postern::testing
