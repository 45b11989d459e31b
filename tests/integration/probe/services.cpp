// What probe does for other instances of it. `config: {publishes: a/1}` has the methods
//
//   echo     answer {"service","caller","request"}
//   again    call the service of `config: {calls: b/1}` with the method "again", and pass on what comes of it
//   throw    let an exception out
//   large    answer more than there may be
//   slow     make the file that the request names, and answer after 200 ms
//   token    answer {"token":"…"} with the name of the service, as postern.voice/1 does; `config: {mute: "yes"}`: {}
//   later    ask to be called again in a minute
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "probe.h"

namespace probe {
namespace {

struct Answer {
  postern_status status = POSTERN_OK;
  std::string body, error;
};

Answer call(postern_instance* self, const postern_delivery* delivery, const std::string& method, const std::string& body) {
  postern_service_request request{};
  request.struct_size = sizeof request;
  request.service = self->service;
  request.method = str(method);
  request.body = str(body);
  request.delivery = delivery;
  Answer answer;
  auto take = [](postern_instance*, void* user, const postern_service_answer* theirs) {
    auto& mine = *static_cast<Answer*>(user);
    mine.body = std::string(view(theirs->body));
    mine.error = std::string(view(theirs->error));
  };
  answer.status = self->services->call(self->host, &request, take, &answer);
  return answer;
}

postern_status again(postern_instance* self, postern_service_call* handle) {
  const Answer answer = call(self, nullptr, "again", "");
  if (answer.status != POSTERN_OK) return fail(self, answer.error, answer.status);
  return self->services->answer(handle, str(answer.body));
}

postern_status serve(postern_instance* self, void*, postern_service_call* handle) {
  const std::string method(view(self->services->method(handle)));
  if (method == "again") return again(self, handle);
  if (method == "throw") throw std::runtime_error("inner detail: the password is hunter2");
  if (method == "large") {
    self->services->answer(handle, str(std::string(POSTERN_SERVICE_MAX_BYTES + 1, 'x')));
    return POSTERN_OK;
  }
  if (method == "slow") {
    std::ofstream(std::string(view(self->services->request(handle)))) << "began";
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  if (method == "token" && self->mute) return self->services->answer(handle, str("{}"));
  if (method == "token") return self->services->answer(handle, str(R"({"token":"of-)" + self->published + "\"}"));
  if (method == "later") {
    self->services->retry_after(handle, 60'000);
    return fail(self, "asked to be called later", POSTERN_RETRY);
  }
  const std::string caller(view(self->services->caller(handle))), request(view(self->services->request(handle)));
  return self->services->answer(
      handle, str(R"({"service":")" + self->published + R"(","caller":")" + caller + R"(","request":")" + request + "\"}"));
}

}  // namespace

postern_status add_services(postern_instance* self, std::string_view config_json) {
  self->published = member(config_json, "publishes");
  self->mute = !member(config_json, "mute").empty();
  const std::string called = member(config_json, "calls");
  if (self->published.empty() && called.empty()) return POSTERN_OK;
  self->services = static_cast<const postern_ext_services*>(self->api->get_extension(self->host, str(POSTERN_EXT_SERVICES)));
  if (self->services == nullptr) return fail(self, "postern.services/1 is missing", POSTERN_E_UNSUPPORTED);
  if (!self->published.empty()) {
    const postern_status published = self->services->publish(self->host, str(self->published), serve, nullptr);
    if (published != POSTERN_OK) return published;
  }
  return called.empty() ? POSTERN_OK : self->services->acquire(self->host, str(called), 0, &self->service);
}

postern_status call_service(postern_instance* self, postern_delivery* delivery, const std::string& method, const std::string& body) {
  if (self->services == nullptr) return fail(self, "no service in the configuration", POSTERN_DEAD);
  const Answer answer = call(self, delivery, method, body);
  if (answer.status != POSTERN_OK) return fail(self, std::to_string(answer.status) + ": " + answer.error, POSTERN_DEAD);
  return self->events->set_result(delivery, str(answer.body));
}

}  // namespace probe
