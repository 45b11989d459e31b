// Which certificate a client gets, which clients are let in, and what is never spoken.
#include "core/net/tls_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/net/tls_harness.h"

namespace postern::net::testing {
namespace {

using ::testing::HasSubstr;

class TlsContextTest : public ::testing::Test {
 protected:
  TlsMaterial material_;
  TlsMaterial::Authority authority_ = material_.authority("authority");
  TlsMaterial::Pair first_ = material_.pair(authority_, "first", "DNS:a.test,DNS:*.wild.test,IP:127.0.0.1");
  ClientContext client_ = client_context();
};

Session::Prepare sni(const std::string& host) {
  return [host](SSL* ssl) { SSL_set_tlsext_host_name(ssl, host.c_str()); };
}

std::string alpn_of(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& one : protocols) wire += static_cast<char>(one.size()) + one;
  return wire;
}

TEST_F(TlsContextTest, CarriesBytesBothWays) {
  Session session(context({first_}), client_);
  ASSERT_TRUE(session.shake_hands()) << session.failure();
  EXPECT_EQ(SSL_version(session.client()), TLS1_3_VERSION);
  ASSERT_TRUE(session.client_write("to the server"));
  session.serve();
  EXPECT_EQ(session.received(), "to the server");
  EXPECT_EQ(session.server().write("back", 4).bytes, 4u);
  EXPECT_EQ(session.client_read(), "back");
}

TEST_F(TlsContextTest, TheNameThatTheClientAsksForChooses) {
  auto other = material_.pair(authority_, "other", "DNS:B.test,DNS:one.wild.test");
  auto server = context({first_, other});
  const std::pair<const char*, const char*> kCases[] = {
      {"a.test", "first"}, {"A.TEST", "first"}, {"b.test", "other"},       {"one.wild.test", "other"}, {"two.wild.test", "first"},
      {"c.test", "first"}, {"wild.test", "first"}, {"x.two.wild.test", "first"}, {"*.wild.test", "first"},
  };
  for (auto [host, subject] : kCases) {
    Session session(server, client_, sni(host));
    ASSERT_TRUE(session.shake_hands()) << host << ": " << session.failure();
    EXPECT_EQ(session.server_subject(), subject) << host;
  }
  Session nameless(server, client_);
  ASSERT_TRUE(nameless.shake_hands());
  EXPECT_EQ(nameless.server_subject(), "first");
}

TEST_F(TlsContextTest, AWildcardStandsForOneLabel) {
  auto plain = material_.pair(authority_, "plain", "DNS:plain.test");
  auto server = context({plain, first_});
  const std::pair<const char*, const char*> kCases[] = {
      {"x.wild.test", "first"}, {"x.y.wild.test", "plain"}, {"wild.test", "plain"}, {".wild.test", "plain"}};
  for (auto [host, subject] : kCases) {
    Session session(server, client_, sni(host));
    ASSERT_TRUE(session.shake_hands()) << host;
    EXPECT_EQ(session.server_subject(), subject) << host;
  }
}

TEST_F(TlsContextTest, SpeaksHttp11AloneWhereTheClientOffersProtocols) {
  auto server = context({first_});
  auto offer = [](const std::vector<std::string>& protocols) {
    return [wire = alpn_of(protocols)](SSL* ssl) {
      SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(wire.data()), static_cast<unsigned>(wire.size()));
    };
  };
  Session both(server, client_, offer({"h2", "http/1.1"}));
  ASSERT_TRUE(both.shake_hands());
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(both.client(), &chosen, &size);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(chosen), size), "http/1.1");
  for (const auto& protocols : std::vector<std::vector<std::string>>{{"h2"}, {"http/1.0"}, {"acme-tls/1", "ftp"}, {"http/1.10"}}) {
    Session refused(server, client_, offer(protocols));
    EXPECT_FALSE(refused.shake_hands()) << protocols[0];
    EXPECT_THAT(refused.failure(), HasSubstr("no application protocol"));
  }
}

TEST_F(TlsContextTest, RefusesOldVersionsAndWeakCiphers) {
  auto server = context({first_});
  auto old = client_context();
  SSL_CTX_set_security_level(old.get(), 0);
  SSL_CTX_set_min_proto_version(old.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old.get(), TLS1_1_VERSION);
  Session refused(server, old);
  EXPECT_FALSE(refused.shake_hands());
  for (const char* cipher : {"ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"}) {
    auto weak = client_context();
    SSL_CTX_set_security_level(weak.get(), 0);
    SSL_CTX_set_max_proto_version(weak.get(), TLS1_2_VERSION);
    ASSERT_EQ(SSL_CTX_set_cipher_list(weak.get(), cipher), 1);
    Session session(server, weak);
    EXPECT_FALSE(session.shake_hands()) << cipher;
  }
  auto newest = context({first_}, [](TlsSettings& s) { s.min_version = TLS1_3_VERSION; });
  auto second = client_context();
  SSL_CTX_set_max_proto_version(second.get(), TLS1_2_VERSION);
  Session too_old(newest, second);
  EXPECT_FALSE(too_old.shake_hands());
  Session good(newest, client_);
  EXPECT_TRUE(good.shake_hands());
}

TEST_F(TlsContextTest, AnRsaCertificateServesBothVersions) {
  auto rsa = material_.pair(authority_, "rsa", "DNS:rsa.test", 3600, true);
  auto server = context({rsa});
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    auto client = client_context();
    SSL_CTX_set_max_proto_version(client.get(), version);
    Session session(server, client);
    EXPECT_TRUE(session.shake_hands()) << session.failure();
    EXPECT_EQ(SSL_version(session.client()), version);
  }
}

TEST_F(TlsContextTest, TheClientsAlgorithmsChooseTheKeyOfAName) {
  auto rsa = material_.pair(authority_, "rsa", "IP:127.0.0.1,DNS:*.wild.test,DNS:a.test", 3600, true);
  auto unlike = material_.pair(authority_, "unlike", "DNS:a.test", 3600, true);
  auto server = context({first_, unlike, rsa});
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (auto [algorithms, subject] : {std::pair("ECDSA+SHA256", "first"), std::pair("RSA-PSS+SHA256", "rsa")}) {
      auto client = client_context();
      SSL_CTX_set_max_proto_version(client.get(), version);
      ASSERT_EQ(SSL_CTX_set1_sigalgs_list(client.get(), algorithms), 1);
      Session session(server, client, sni("a.test"));
      // The client cannot check the authority's own signature then.
      session.shake_hands();
      EXPECT_EQ(session.server_subject(), subject) << algorithms;
    }
  }
}

TEST_F(TlsContextTest, NeitherRenegotiationNorCompressionNorEarlyData) {
  auto client = client_context();
  SSL_CTX_set_max_proto_version(client.get(), TLS1_2_VERSION);
  Session session(context({first_}), client);
  ASSERT_TRUE(session.shake_hands());
  EXPECT_EQ(SSL_get_current_compression(session.client()), nullptr);
  EXPECT_NE(SSL_get_secure_renegotiation_support(session.client()), 0);
  ASSERT_EQ(SSL_renegotiate(session.client()), 1);
  SSL_do_handshake(session.client());
  session.serve();
  session.client_read();
  EXPECT_THAT(session.failure(), HasSubstr("no renegotiation"));

  Session newest(context({first_}), client_context());
  ASSERT_TRUE(newest.shake_hands());
  EXPECT_EQ(SSL_SESSION_get_max_early_data(SSL_get0_session(newest.client())), 0u);
}

// ---- client certificates

class ClientCertificates : public TlsContextTest {
 protected:
  TlsMaterial::Authority clients_ = material_.authority("clients"), strangers_ = material_.authority("strangers");
  TlsMaterial::Pair good_ = material_.pair(clients_, "good", ""), strange_ = material_.pair(strangers_, "strange", ""),
                    expired_ = material_.pair(clients_, "expired", "", -60);

  std::shared_ptr<const TlsContext> asking(bool required, std::shared_ptr<TicketKeys> tickets = std::make_shared<TicketKeys>()) {
    return context({first_}, [&](TlsSettings& s) {
      s.client_ca = must(load_authorities(clients_.file));
      s.client_certificate_required = required;
      s.tickets = tickets;
    });
  }
  static ClientContext with(const TlsMaterial::Pair& pair) {
    auto made = client_context();
    SSL_CTX_use_certificate_file(made.get(), pair.certificate.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(made.get(), pair.key.c_str(), SSL_FILETYPE_PEM);
    return made;
  }
};

TEST_F(ClientCertificates, RequiredOnesLetNobodyInWithout) {
  auto server = asking(true);
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    auto run = [&](const ClientContext& client) {
      SSL_CTX_set_max_proto_version(client.get(), version);
      Session session(server, client);
      return session.shake_hands();
    };
    EXPECT_TRUE(run(with(good_)));
    EXPECT_FALSE(run(client_context()));
    EXPECT_FALSE(run(with(strange_)));
    EXPECT_FALSE(run(with(expired_)));
    EXPECT_FALSE(run(with(first_))) << "of the server's authority, not of the clients'";
  }
}

TEST_F(ClientCertificates, OptionalOnesMustBeGoodWhereTheyCome) {
  auto server = asking(false);
  auto run = [&](const ClientContext& client) {
    Session session(server, client);
    return session.shake_hands();
  };
  EXPECT_TRUE(run(with(good_)));
  EXPECT_TRUE(run(client_context()));
  EXPECT_FALSE(run(with(strange_)));
}

// ---- resumption

class Resumption : public ClientCertificates, public ::testing::WithParamInterface<int> {
 protected:
  // The session that a client takes away.
  std::shared_ptr<SSL_SESSION> visit(const std::shared_ptr<const TlsContext>& server, ClientContext client = client_context()) {
    SSL_CTX_set_max_proto_version(client.get(), GetParam());
    Session session(server, client);
    EXPECT_TRUE(session.shake_hands()) << session.failure();
    EXPECT_EQ(SSL_session_reused(session.client()), 0);
    return {SSL_get1_session(session.client()), &SSL_SESSION_free};
  }
  enum class Again { kResumed, kAnew, kRefused };
  Again visit_again(const std::shared_ptr<const TlsContext>& server, SSL_SESSION* before, const std::string& host = "") {
    auto client = client_context();
    SSL_CTX_set_max_proto_version(client.get(), GetParam());
    Session session(server, client, [&](SSL* ssl) {
      SSL_set_session(ssl, before);
      if (!host.empty()) SSL_set_tlsext_host_name(ssl, host.c_str());
    });
    if (!session.shake_hands()) return Again::kRefused;
    return SSL_session_reused(session.client()) == 1 ? Again::kResumed : Again::kAnew;
  }
};

TEST_P(Resumption, WithATicket) {
  auto server = context({first_});
  auto before = visit(server);
  EXPECT_EQ(visit_again(server, before.get()), Again::kResumed);
}

TEST_P(Resumption, OutlivesAReloadOfTheCertificates) {
  auto tickets = std::make_shared<TicketKeys>();
  auto keep = [&](TlsSettings& s) { s.tickets = tickets; };
  auto before = visit(context({first_}, keep));
  auto renewed = material_.pair(authority_, "renewed", "DNS:a.test");
  EXPECT_EQ(visit_again(context({renewed}, keep), before.get()), Again::kResumed);
  EXPECT_EQ(visit_again(context({renewed}), before.get()), Again::kAnew) << "keys of somebody else";
}

TEST_P(Resumption, TicketKeysDoNotLastForEver) {
  auto tickets = std::make_shared<TicketKeys>();
  auto server = context({first_}, [&](TlsSettings& s) { s.tickets = tickets; });
  auto before = visit(server);
  tickets->age(TicketKeys::kRenewAfterMs);
  EXPECT_EQ(visit_again(server, before.get()), Again::kResumed) << "the key before still opens";
  tickets->age(TicketKeys::kRenewAfterMs);
  EXPECT_EQ(visit_again(server, before.get()), Again::kAnew);
}

TEST_P(Resumption, IsNoWayAroundClientCertificates) {
  auto tickets = std::make_shared<TicketKeys>();
  auto open = context({first_}, [&](TlsSettings& s) { s.tickets = tickets; });
  auto optional = asking(false, tickets), required = asking(true, tickets);
  auto without = visit(open), asked = visit(optional), certified = visit(required, with(good_));
  EXPECT_EQ(visit_again(required, without.get()), Again::kRefused);
  EXPECT_EQ(visit_again(required, asked.get()), Again::kRefused);
  EXPECT_EQ(visit_again(required, certified.get()), Again::kResumed);
  auto others = context({first_}, [&](TlsSettings& s) {
    s.tickets = tickets;
    s.client_ca = must(load_authorities(strangers_.file));
  });
  EXPECT_EQ(visit_again(others, certified.get()), Again::kRefused) << "another authority is asked for now";
}

INSTANTIATE_TEST_SUITE_P(Versions, Resumption, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

}  // namespace
}  // namespace postern::net::testing
