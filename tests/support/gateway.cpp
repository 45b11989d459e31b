#include "tests/support/gateway.h"
#include "tests/support/places.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace postern::testing {
namespace {

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (!file || chmod(path.c_str(), 0600) != 0) throw std::runtime_error("cannot write " + path);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string tail(const std::string& text) { return text.size() > 4000 ? "…" + text.substr(text.size() - 4000) : text; }

std::string yaml(const GatewayOptions& options, const std::string& folder, uint16_t port) {
  const std::string address = "127.0.0.1:" + std::to_string(port);
  const std::string public_url = options.public_url.empty() ? "http://" + address : options.public_url;
  std::string text = "gateway:\n  listen: [" + address + "]\n";
  if (public_url != "none") text += "  public_url: " + public_url + "\n";
  text += options.gateway;
  if (!text.ends_with('\n')) text += '\n';
  text += "admin: {socket: " + folder + "/admin.sock" + (options.admin.empty() ? "" : ", " + options.admin) + "}\n";
  text += "store: {kind: sqlite, path: " + folder + "/events.db}\n";
  if (!options.dispatch.empty()) text += "dispatch: {" + options.dispatch + "}\n";
  if (!options.health.empty()) text += "health: {" + options.health + "}\n";
  text += "plugin_dir: " + built("plugins") + "\nplugins:\n";
  text += "  - name: openphone\n    library: openphone.so\n    config:\n";
  if (options.standard) text += "      webhook_secrets: [\"${file:" + folder + "/standard.secret}\"]\n";
  if (options.legacy) text += "      signing_keys: [\"${env:POSTERN_TEST_LEGACY_KEY}\"]\n";
  if (options.own) text += "      shared_secrets: [\"${file:" + folder + "/own.secret}\"]\n";
  if (!options.route.empty())
    text += "    routes:\n      " + std::string(kOpenphonePath) + ": {" + options.route + "}\n";
  text += options.plugins;
  if (!options.subscriptions.empty()) text += "subscriptions:\n" + options.subscriptions;
  return text;
}

}  // namespace

uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool ok = fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) close(fd);
  if (!ok) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

Gateway::Gateway(GatewayOptions options) : options_(std::move(options)), port_(free_port()) {
  char name[] = "/tmp/pst-XXXXXX";  // short: the path of a Unix socket ends at 107 bytes
  if (mkdtemp(name) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
  folder_ = name;
  write_file(folder_ + "/standard.secret", standard_secret_ + "\n");
  write_file(folder_ + "/own.secret", own_secret_ + "\n");
  write_config(yaml(options_, folder_, port_));
  start();
}

Gateway::~Gateway() {
  process_.reset();
  std::error_code ignored;
  if (getenv("POSTERN_TEST_KEEP") == nullptr) std::filesystem::remove_all(folder_, ignored);
}

bool Gateway::answers() const {
  try {
    WireClient client = WireClient::tcp("127.0.0.1", port_, milliseconds(500));
    client.send(request_text("GET", "/health", {}));
    const auto response = client.read_response(milliseconds(1000));
    return response && response->status == 200;
  } catch (const std::runtime_error&) {
    return false;  // nobody listens yet
  }
}

milliseconds Gateway::start(milliseconds timeout) {
  const auto begin = Clock::now();
  const std::string log_file = folder_ + "/gateway.log";
  process_ = std::make_unique<Process>(
      Process::Options{built("postern"), {"serve", "-c", config_file()}, environment(), log_file, log_file});
  bool ready = false;
  eventually(timeout, [&] { return (ready = answers()) || !process_->running(); });
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
  if (ready) return took;
  const std::string how = process_->running() ? "does not answer" : "ended at once";
  process_.reset();
  throw std::runtime_error("the gateway " + how + ":\n" + tail(log()));
}

Exit Gateway::stop(milliseconds timeout) {
  process_->send_signal(SIGTERM);
  const auto exit = process_->wait(timeout);
  return exit ? *exit : process_->kill();
}

void Gateway::kill() { process_->kill(); }

milliseconds Gateway::restart() {
  if (running()) stop();
  return start();
}

std::string Gateway::log() const { return read_file(folder_ + "/gateway.log"); }
bool Gateway::logs(const std::string& text) const {
  return eventually(milliseconds(10000), [&] { return log().find(text) != std::string::npos; });
}
std::string Gateway::config() const { return read_file(config_file()); }
void Gateway::write_config(const std::string& yaml) const { write_file(config_file(), yaml); }

Response Gateway::request(std::string_view method, std::string_view target, const Headers& headers,
                          std::string_view body) const {
  WireClient client = connect();
  client.send(request_text(method, target, headers, body));
  auto response = client.read_response(milliseconds(10000), method == "HEAD");
  if (!response) throw std::runtime_error("no answer; the log ends:\n" + tail(log()));
  return *response;
}

Response Gateway::post(const Headers& headers, std::string_view body) const {
  Headers all{{"Content-Type", "application/json"}};
  all.insert(all.end(), headers.begin(), headers.end());
  return request("POST", kOpenphonePath, all, body);
}

Headers Gateway::sign(std::string_view id, std::string_view body) const {
  return sign_standard(standard_secret_, id, unix_seconds(), body);
}

Response Gateway::post_signed(std::string_view id, std::string_view body) const { return post(sign(id, body), body); }

std::vector<std::pair<std::string, std::string>> Gateway::environment() const {
  return {{"POSTERN_TEST_LEGACY_KEY", legacy_key_}};
}

Finished Gateway::command(std::vector<std::string> args, milliseconds timeout) const {
  args.insert(args.end(), {"-c", config_file()});
  return run(built("postern"), args, timeout, environment());
}

std::string message_body(std::string_view event_id, std::string_view conversation, std::string_view text) {
  const std::string id(event_id);
  return R"({"id":")" + id +
         R"(","apiVersion":"2026-03-30","createdAt":"2026-11-20T08:15:00.000Z","type":"message.received",)" +
         R"("data":{"resource":{"id":"AC)" + id + R"(","direction":"incoming","text":")" + std::string(text) +
         R"(","media":[],"status":"received","createdAt":"2026-11-20T08:14:59.000Z"},"context":{"orgId":"OR1",)" +
         R"("phoneNumberId":"PN1","conversationId":")" + std::string(conversation) +
         R"(","userId":"US1","contacts":{"ids":["CT1"],"lookupStatus":"matched"},"senderIdentifier":"+14155550100",)" +
         R"("recipientIdentifiers":["+14155550199"]},"links":{"quo":"https://my.quo.com/inbox/1"}}})";
}

std::string new_event_id() { return "EV" + hex(random_bytes(16)); }

std::string postern_binary() { return built("postern"); }
std::string plugin_folder() { return built("plugins"); }

}  // namespace postern::testing
