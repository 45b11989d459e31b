// A client and an upstream for it, with waits that tests can afford.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/client/client.h"
#include "tests/support/eventually.h"
#include "tests/support/upstream_server.h"

namespace postern::client {

using Kind = Outcome::Kind;
using testing::Conversation;
using testing::eventually;
using testing::milliseconds;
using testing::UpstreamServer;

class ClientTest : public ::testing::Test {
 protected:
  ~ClientTest() override {
    client_.reset();
    if (!server_) return;
    EXPECT_TRUE(server_->faults().empty()) << server_->faults().front();
  }

  void serve(UpstreamServer::Script script) { server_ = std::make_unique<UpstreamServer>(std::move(script)); }

  void start(Client::Options options = {}) {
    client_ = std::make_unique<Client>(std::move(options));
    ASSERT_TRUE(client_->start());
  }

  // To the server; three attempts, some milliseconds apart.
  Upstream quick() const {
    Upstream upstream;
    upstream.plugin = "acme";
    upstream.name = "api";
    if (server_) upstream.base_url = server_->url();
    upstream.backoff = {5, 2, 50, 0};
    upstream.connect_ms = 2000;
    upstream.attempt_ms = 2000;
    upstream.deadline_ms = 5000;
    return upstream;
  }

  Client::UpstreamId add(Upstream upstream) {
    if (!client_) start();
    auto id = client_->add_upstream(std::move(upstream));
    EXPECT_TRUE(id) << id.status().message();
    return *id;
  }

  Outcome get(Client::UpstreamId upstream, const std::string& url = "/") {
    Request request;
    request.url = url;
    return client_->call(upstream, std::move(request));
  }

  UpstreamStatus status(size_t n = 0) const { return client_->status().at(n); }

  std::unique_ptr<UpstreamServer> server_;
  std::unique_ptr<Client> client_;
};

}  // namespace postern::client
