// Two plugins that call one another's services by postern.services/1, and the host between.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/services.h>

#include <functional>
#include <string>
#include <string_view>

#include "core/extension/table.h"
#include "core/plugin/host.h"
#include "core/plugin/service_directory.h"

namespace postern::extension {

using Phase = postern_host::Phase;

inline postern_str str(std::string_view text) { return {text.data(), text.size()}; }
inline std::string text(postern_str s) { return s.ptr == nullptr ? std::string() : std::string(s.ptr, s.len); }

inline const postern_ext_services& table() {
  return *static_cast<const postern_ext_services*>(host_api().get_extension(nullptr, str(POSTERN_EXT_SERVICES)));
}

// What a service does, written by each test.
using Script = std::function<postern_status(postern_service_call*)>;
inline postern_status run_script(postern_instance*, void* user, postern_service_call* call) { return (*static_cast<Script*>(user))(call); }

struct Answer {
  int times = 0;
  postern_status status = POSTERN_E_STATE, returned = POSTERN_E_STATE;
  std::string body, error;
  uint64_t retry_after_ms = 0;
};
inline void note(postern_instance*, void* user, const postern_service_answer* theirs) {
  auto& answer = *static_cast<Answer*>(user);
  ++answer.times;
  answer.status = theirs->status;
  answer.body = text(theirs->body);
  answer.error = text(theirs->error);
  answer.retry_after_ms = theirs->retry_after_ms;
}

inline postern_status echo(postern_service_call* call) { return table().answer(call, table().request(call)); }

class ServicesTable : public ::testing::Test {
 protected:
  ServicesTable() {
    one_.name = "one";
    two_.name = "two";
    one_.phase = two_.phase = Phase::kInit;
  }

  postern_status publish(postern_host& host, std::string_view name, Script& script) {
    return table().publish(&host, str(name), run_script, &script);
  }
  uint32_t acquire(postern_host& host, std::string_view name, uint32_t flags = 0) {
    uint32_t number = 99;
    EXPECT_EQ(table().acquire(&host, str(name), flags, &number), POSTERN_OK) << plugin::take_error();
    return number;
  }
  // As the gateway does after init and at activate.
  void activate() {
    for (postern_host* host : {&one_, &two_}) {
      for (const auto& service : host->registrations.services) ASSERT_TRUE(directory_.add(service));
    }
    for (postern_host* host : {&one_, &two_}) {
      for (auto& wish : host->registrations.wishes) wish.service = directory_.find(wish.name);
      for (const auto& service : host->registrations.services) service->open();
      host->phase = Phase::kActive;
    }
  }
  Answer call(postern_host& host, uint32_t service, std::string_view body = "", uint32_t deadline_ms = 0, std::string_view method = "do") {
    postern_service_request request{};
    request.struct_size = sizeof request;
    request.service = service;
    request.method = str(method);
    request.body = str(body);
    request.deadline_ms = deadline_ms;
    return call(host, request);
  }
  static Answer call(postern_host& host, const postern_service_request& request) {
    Answer answer;
    answer.returned = table().call(&host, &request, note, &answer);
    EXPECT_EQ(answer.times, 1);
    EXPECT_EQ(answer.returned, answer.status);
    return answer;
  }
  // "two" publishes s/1, and "one" has acquired it.
  void serve(Script script) {
    script_ = std::move(script);
    ASSERT_EQ(publish(two_, "s/1", script_), POSTERN_OK);
    number_ = acquire(one_, "s/1");
    activate();
  }
  Answer ask(std::string_view body = "", uint32_t deadline_ms = 0) { return call(one_, number_, body, deadline_ms); }
  uint64_t counted(std::string_view status) const {
    const plugin::Service& service = *two_.registrations.services.at(0);
    for (size_t i = 0; i < plugin::Service::kStatuses; ++i) {
      if (plugin::Service::status_name(i) == status) return service.calls(i);
    }
    return UINT64_MAX;
  }

  postern_host one_, two_;
  plugin::ServiceDirectory directory_;
  Script script_;
  uint32_t number_ = 99;
};

}  // namespace postern::extension
