// Reply handlers that misbehave, one for each route: /throws, /answers_twice and so on. What the host answered a module that is
// past answering itself is told by the next request for /told.
//
// /slow waits until the descriptor that the header x-gate names can be read: the test holds the other end.
#include <poll.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "module.h"

namespace {

std::mutex mutex;
std::string answers;            // what the host said, to be told
postern_reply* kept = nullptr;  // a handle that outlived its handler

const postern_ext_http& http_of(postern_instance* self) { return extension<postern_ext_http>(self, POSTERN_EXT_HTTP); }

postern_status send(postern_instance* self, postern_reply* reply, std::string_view body, uint32_t status = 200) {
  return http_of(self).send(reply, status, nullptr, 0, str(body));
}

void note(postern_status status) {
  std::lock_guard lock(mutex);
  answers += (answers.empty() ? "" : " ") + std::to_string(status);
}

postern_status told(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  std::lock_guard lock(mutex);
  postern_status status = send(self, reply, answers);
  answers.clear();
  return status;
}

postern_status well(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  return send(self, reply, "fine");
}
postern_status throws(postern_instance*, void*, const postern_request*, postern_reply*) {
  throw std::runtime_error("index 7 of 3");
}
postern_status throws_int(postern_instance*, void*, const postern_request*, postern_reply*) { throw 7; }
postern_status no_answer(postern_instance*, void*, const postern_request*, postern_reply*) { return POSTERN_OK; }
postern_status pending_only(postern_instance*, void*, const postern_request*, postern_reply*) { return POSTERN_PENDING; }
postern_status unknown_status(postern_instance*, void*, const postern_request*, postern_reply*) { return 4711; }
postern_status retry(postern_instance*, void*, const postern_request*, postern_reply*) { return POSTERN_RETRY; }
postern_status fails(postern_instance* self, void*, const postern_request*, postern_reply*) {
  self->api->set_error(self->host, str("the account is closed"));
  return POSTERN_E_DENIED;
}

postern_status answers_twice(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  note(send(self, reply, "first"));
  note(send(self, reply, "second"));
  http_of(self).drop(reply);
  note(http_of(self).detach(reply));
  return POSTERN_PENDING;
}

postern_status answers_and_throws(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  send(self, reply, "first");
  throw std::runtime_error("after all");
}

postern_status answers_from_a_thread(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  std::thread([&] { note(send(self, reply, "from a thread")); }).join();
  return POSTERN_OK;
}

// Without detach() the handle ends with the handler.
postern_status keeps(postern_instance*, void*, const postern_request*, postern_reply* reply) {
  std::lock_guard lock(mutex);
  kept = reply;
  return POSTERN_OK;
}

postern_status drops_then_sends(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  http_of(self).drop(reply);
  note(send(self, reply, "after all"));
  http_of(self).drop(reply);
  return POSTERN_OK;
}

postern_status detaches(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  note(http_of(self).detach(reply));
  std::lock_guard lock(mutex);
  kept = reply;
  return POSTERN_PENDING;
}

postern_status detaches_and_throws(postern_instance* self, void* user, const postern_request* request, postern_reply* reply) {
  detaches(self, user, request, reply);
  throw std::runtime_error("after all");
}

// Three times with the handle that another handler kept.
postern_status sends_kept(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  for (int i = 0; i < 2; ++i) note(send(self, kept, "late"));
  http_of(self).drop(kept);
  note(send(self, kept, "later"));
  return send(self, reply, "done");
}

postern_status slow(postern_instance* self, void*, const postern_request* request, postern_reply* reply) {
  postern_str gate{};
  http_of(self).header(request, str("x-gate"), 0, &gate);
  pollfd one{std::stoi(std::string(view(gate))), POLLIN, 0};
  ::poll(&one, 1, -1);
  note(http_of(self).detach(reply));
  note(send(self, reply, std::string(view(http_of(self).body(request)))));
  return POSTERN_OK;
}

postern_status senseless_answers(postern_instance* self, void*, const postern_request*, postern_reply* reply) {
  const postern_ext_http& http = http_of(self);
  const std::string large(5 << 20, 'x');
  const postern_str odd[] = {str("X-A"), str("1"), str("X-B")};
  const postern_str splits[] = {str("X-A"), str("1\r\nX-Evil: 1")};
  const postern_str nameless[] = {{nullptr, 0}, str("1")};
  for (uint32_t status : {0u, 101u, 600u, UINT32_MAX}) note(send(self, reply, "", status));
  note(http.send(reply, 200, odd, 3, str("")));
  note(http.send(reply, 200, splits, 2, str("")));
  note(http.send(reply, 200, nameless, 2, str("")));
  note(send(self, reply, large));
  note(http.send(reply, 200, nullptr, 0, {"", static_cast<size_t>(-1)}));
  note(http.send(nullptr, 200, nullptr, 0, str("")));
  note(http.send(reply, 200, nullptr, 0, {nullptr, 0}));
  return POSTERN_OK;
}

constexpr struct {
  std::string_view path;
  postern_reply_handler function;
} kRoutes[] = {
    {"/well", well},
    {"/told", told},
    {"/throws", throws},
    {"/throws_int", throws_int},
    {"/no_answer", no_answer},
    {"/pending_only", pending_only},
    {"/unknown_status", unknown_status},
    {"/retry", retry},
    {"/fails", fails},
    {"/answers_twice", answers_twice},
    {"/answers_and_throws", answers_and_throws},
    {"/answers_from_a_thread", answers_from_a_thread},
    {"/keeps", keeps},
    {"/drops_then_sends", drops_then_sends},
    {"/detaches", detaches},
    {"/detaches_and_throws", detaches_and_throws},
    {"/sends_kept", sends_kept},
    {"/slow", slow},
    {"/senseless_answers", senseless_answers},
};

postern_status init(postern_instance* self, postern_str) {
  const auto& routes = extension<postern_ext_routes>(self, POSTERN_EXT_ROUTES);
  for (const auto& route : kRoutes) {
    postern_route_desc desc = unsigned_route(route.path);
    desc.kind = POSTERN_ROUTE_REPLY;
    desc.reply = route.function;
    if (postern_status added = routes.add(self->host, &desc); added < 0) return added;
  }
  return POSTERN_OK;
}

}  // namespace

ABI_MODULE(.init = init)
