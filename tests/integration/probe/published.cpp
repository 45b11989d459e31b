// What probe publishes by itself.
//
//   POST PREFIX/reply/publish          the body as an event: x-type (else "probe.published"), x-external, x-key, x-wait (milliseconds); the answer
//                                      is what came of it: {"status","duplicate","settled","event_id","result","error"}
//   POST PREFIX/reply/publish_untold   the same without a callback: answers with the status of the call
//   POST PREFIX/reply/publish_throws   the same with a callback that lets an exception out
//   GET  PREFIX/session                a WebSocket that publishes "probe.ended" when it has ended, with the id that x-id says; the line
//                                      "STATUS EVENT_ID" goes to FILE (header x-file) when that is told of. What the host called goes to
//                                      FILE.calls. With x-wake it is woken before it is open, and closes when told so. With x-outlive the
//                                      handler that accepts it returns after it has ended, and then what waking it by its handle's id gave
//                                      goes to FILE.outlived
#include <chrono>
#include <fstream>
#include <future>
#include <stdexcept>
#include <thread>

#include "probe.h"

namespace probe {
namespace {

struct Asked {
  std::string type, id, key, body;
  uint32_t wait_ms = 0;
};

std::string header(postern_instance* self, const postern_request* request, std::string_view name) {
  postern_str value{};
  return self->http->header(request, str(name), 0, &value) == POSTERN_OK ? std::string(view(value)) : "";
}

postern_status publish(postern_instance* self, const Asked& asked, postern_publish_callback callback, void* user) {
  postern_publish_desc desc{};
  desc.struct_size = sizeof desc;
  desc.wait_ms = asked.wait_ms;
  desc.type = str(asked.type);
  desc.body = str(asked.body);
  desc.order_key = str(asked.key);
  desc.external_id = str(asked.id);
  return self->events->publish(self->host, &desc, callback, user);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
  return out + "\"";
}

void on_published(postern_instance* self, void* user, const postern_published* published) {
  const std::string text = R"({"status":)" + std::to_string(published->status) + R"(,"duplicate":)" +
                           std::to_string(published->duplicate) + R"(,"settled":)" + std::to_string(published->settled) +
                           R"(,"event_id":)" + quoted(view(published->event_id)) + R"(,"result":)" + quoted(view(published->result)) +
                           R"(,"error":)" + quoted(view(published->error)) + "}";
  self->http->send(static_cast<postern_reply*>(user), 200, nullptr, 0, str(text));
}

void on_published_throws(postern_instance*, void*, const postern_published*) { throw std::runtime_error("asked to throw"); }

// A WebSocket's.
struct Session {
  std::string id, file;
  std::string calls = "";
  std::promise<void> over = {};
};

void on_opened(postern_instance*, void* user, postern_session*) { static_cast<Session*>(user)->calls += "opened "; }
void on_woken(postern_instance* self, void* user, postern_session* session) {
  static_cast<Session*>(user)->calls += "woken ";
  self->websocket->close(session, 1000, str(""));
}

void on_ended_told(postern_instance*, void* user, const postern_published* published) {
  const std::unique_ptr<Session> session(static_cast<Session*>(user));
  std::ofstream(session->file) << published->status << " " << view(published->event_id);
}

void on_ended(postern_instance* self, void* user, postern_session*, const postern_session_end*) {
  auto* session = static_cast<Session*>(user);
  std::ofstream(session->file + ".calls") << session->calls;
  session->over.set_value();
  const std::string body = R"({"id":")" + session->id + R"(","do":"done","record":"sessions"})";
  const postern_status taken = publish(self, {"probe.ended", session->id, "", body, 0}, on_ended_told, session);
  if (taken == POSTERN_OK) return;
  std::ofstream(session->file) << "refused " << taken;
  delete session;
}

postern_status accept(postern_instance* self, void*, const postern_request* request, postern_reply* reply) {
  postern_session_calls calls{};
  calls.struct_size = sizeof calls;
  calls.opened = on_opened;
  calls.woken = on_woken;
  calls.ended = on_ended;
  auto* session = new Session{header(self, request, "x-id"), header(self, request, "x-file")};  // its own at once, when accepted
  const std::string file = session->file;
  const std::future<void> over = session->over.get_future();
  postern_session* handle = nullptr;
  const postern_status accepted = self->websocket->accept(self->host, reply, str(""), nullptr, &calls, session, &handle);
  if (accepted == POSTERN_OK && !header(self, request, "x-wake").empty()) self->websocket->wake(self->host, self->websocket->id(handle));
  if (accepted == POSTERN_OK && !header(self, request, "x-outlive").empty()) {
    over.wait_for(std::chrono::seconds(10));
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    postern_status woken = POSTERN_OK;
    while ((woken = self->websocket->wake(self->host, self->websocket->id(handle))) == POSTERN_OK && std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();  // the host has its own to do after ended()
    }
    std::ofstream(file + ".outlived") << woken;
  }
  return accepted;
}

}  // namespace

postern_status publish_as_asked(postern_instance* self, const postern_request* request, postern_reply* reply, std::string_view how) {
  Asked asked{header(self, request, "x-type"), header(self, request, "x-external"), header(self, request, "x-key"),
              std::string(view(self->http->body(request))), 0};
  if (asked.type.empty()) asked.type = "probe.published";
  if (const std::string wait = header(self, request, "x-wait"); !wait.empty()) asked.wait_ms = static_cast<uint32_t>(std::stoul(wait));
  auto answer = [&](postern_status status) { return self->http->send(reply, 200, nullptr, 0, str(std::to_string(status))); };
  if (how == "publish_untold") return answer(publish(self, asked, nullptr, nullptr));
  if (how == "publish_throws") return answer(publish(self, asked, on_published_throws, nullptr));
  const postern_status detached = self->http->detach(reply);
  if (detached != POSTERN_OK) return detached;
  if (const postern_status taken = publish(self, asked, on_published, reply); taken != POSTERN_OK) answer(taken);
  return POSTERN_PENDING;
}

postern_status add_session(postern_instance* self, const std::string& prefix) {
  const std::string path = prefix + "/session";
  postern_route_desc route{};
  route.struct_size = sizeof route;
  route.kind = POSTERN_ROUTE_WEBSOCKET;
  route.method = str("GET");
  route.path = str(path);
  route.flags = POSTERN_ROUTE_UNSIGNED;
  route.reply = accept;
  return self->routes->add(self->host, &route);
}

}  // namespace probe
