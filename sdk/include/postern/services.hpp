// postern/services.hpp - what plugins do for one another, as bytes. Part of plugin.hpp.
//
//   crm_ = setup.acquire("crm/1");                                                // in init
//   std::string who = crm_.call(delivery, "find", number).or_throw().body();      // in a handler
//
//   setup.publish("crm/1", &Crm::serve);                                          // in the other plugin's init
//   std::string serve(postern::ServiceCall& call) { return find(call.request()); }
//
// Errors: what came of a call is a ServiceAnswer, whatever it was. A service's function throws ServiceError, Retry or Dead for what its
// caller shall hear, never with a secret; of any other exception the caller hears only that there was one, and the log has its text.
// Threads: a Service is a plain value for any thread, from activate on; a ServiceCall belongs to the function that got it, on its thread.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "delivery.hpp"
#include "ext/services.h"

namespace postern::inline sdk {

// Thrown by a service's function: the caller gets this status (POSTERN_E_NOT_FOUND, POSTERN_E_INVALID, …) and text.
class ServiceError : public Error {
 public:
  using Error::Error;
};

// One call, in the function that answers it. Views are good until that returns.
class ServiceCall {
 public:
  ServiceCall(const postern_ext_services& table, postern_service_call* handle) : table_(table), handle_(handle) {}
  ServiceCall(const ServiceCall&) = delete;
  ServiceCall& operator=(const ServiceCall&) = delete;

  std::string_view method() const { return to_view(table_.method(handle_)); }
  std::string_view request() const { return to_view(table_.request(handle_)); }
  std::string_view caller() const { return to_view(table_.caller(handle_)); }  // the plugin, by its name in the YAML
  // Until the deadline; zero: it has passed.
  milliseconds remaining() const { return milliseconds(static_cast<int64_t>(table_.remaining_ms(handle_))); }

 private:
  const postern_ext_services& table_;
  postern_service_call* handle_;
};

// What came of a call: an answer, or why there is none.
class ServiceAnswer {
 public:
  ServiceAnswer(postern_status status, std::string body, std::string error, milliseconds retry_after)
      : status_(status), retry_after_(retry_after), body_(std::move(body)), error_(std::move(error)) {}

  bool ok() const { return status_ == POSTERN_OK; }
  postern_status status() const { return status_; }
  const std::string& body() const { return body_; }
  const std::string& error() const { return error_; }

  // How a delivery ends that needed this answer.
  Outcome outcome() const {
    if (ok()) return Outcome::done();
    return may_pass() ? Outcome::retry(error_, retry_after_) : Outcome::dead(error_);
  }
  // Throws Retry or Dead unless it is ok.
  const ServiceAnswer& or_throw() const {
    if (ok()) return *this;
    if (may_pass()) throw Retry(error_, retry_after_);
    throw Dead(error_);
  }

 private:
  // It may be otherwise the next time. What is wrong with the request stays so.
  bool may_pass() const {
    switch (status_) {
      case POSTERN_RETRY:
      case POSTERN_E_STATE:
      case POSTERN_E_TIMEOUT:
      case POSTERN_E_GONE:
      case POSTERN_E_INTERNAL: return true;
      default: return false;
    }
  }

  postern_status status_;
  milliseconds retry_after_;
  std::string body_, error_;
};

namespace detail {

inline void take_answer(postern_instance*, void* user, const postern_service_answer* answer) noexcept {
  try {
    milliseconds after(static_cast<int64_t>(answer->retry_after_ms));
    static_cast<std::optional<ServiceAnswer>*>(user)->emplace(answer->status, std::string(to_view(answer->body)),
                                                              std::string(to_view(answer->error)), after);
  } catch (...) {  // out of memory: call() says that there is none
  }
}

}  // namespace detail

// A service of another plugin. Setup::acquire() makes it.
class Service {
 public:
  Service() = default;
  Service(const detail::HostTables& tables, uint32_t number) : tables_(tables), number_(number) {}

  // Whether a plugin publishes it; always, unless it was acquired as optional.
  bool available() const { return tables_.services != nullptr && tables_.services->available(tables_.host, number_) != 0; }

  // Waits for the answer: see ext/services.h. On behalf of a delivery the call should end shortly before that's deadline. `deadline`
  // zero: 10 s.
  ServiceAnswer call(std::string_view method, std::string_view body, milliseconds deadline = {}) const {
    return call(nullptr, method, body, deadline);
  }
  ServiceAnswer call(const DeliveryContext& delivery, std::string_view method, std::string_view body, milliseconds deadline = {}) const {
    return call(delivery.handle(), method, body, deadline);
  }

 private:
  ServiceAnswer call(const postern_delivery* delivery, std::string_view method, std::string_view body, milliseconds deadline) const {
    if (tables_.services == nullptr) return {POSTERN_E_NOT_FOUND, {}, "this gateway has no " POSTERN_EXT_SERVICES, {}};
    postern_service_request request{};
    request.struct_size = sizeof request;
    request.service = number_;
    request.method = to_abi(method);
    request.body = to_abi(body);
    request.delivery = delivery;
    request.deadline_ms = static_cast<uint32_t>(std::clamp<int64_t>(deadline.count(), 0, std::numeric_limits<uint32_t>::max()));
    std::optional<ServiceAnswer> answer;
    postern_status status = tables_.services->call(tables_.host, &request, &detail::take_answer, &answer);
    if (answer) return std::move(*answer);
    return {status == POSTERN_OK ? POSTERN_E_INTERNAL : status, {}, "call of a service: no memory for its answer", {}};
  }

  detail::HostTables tables_;
  uint32_t number_ = std::numeric_limits<uint32_t>::max();
};

}  // namespace postern::inline sdk
