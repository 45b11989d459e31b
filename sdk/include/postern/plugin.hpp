// postern/plugin.hpp - the C ABI for C++20, header-only, standard library only. A plugin in it reads like a table:
//
//   class Example final : public postern::Plugin {
//     void init(postern::Setup& setup, std::string_view config_json) override {
//       setup.scheme({.name = "hmac", .header = "x-signature", .secrets = secrets_});
//       setup.route({.path = "/api/v1/webhooks/example", .schemes = {{"hmac", "json:/id"}}, .type_from =
//       "json:/type"}); setup.on("order.*", &Example::order);
//     }
//     void order(postern::Delivery& delivery);
//   };
//   POSTERN_PLUGIN(Example, "example", "1.0.0", "postern.schemes/1", "postern.routes/1", "postern.events/1",
//   "postern.http/1");
//
// Exceptions stop here: in init and activate they become a negative status with a text, in an event handler an outcome (Retry,
// Postpone, Dead; any other one is a retry, except that passing a bound of the host is dead: it would pass it again), in a reply handler
// and in a scheme's functions a failure (500, 503), in a service's function what its caller gets. Threads: init, activate,
// deactivate and the destructor on the host's control thread; handlers, checks, services and a scheme's functions on several at once.
#pragma once

#include <array>
#include <cstring>
#include <exception>
#include <memory>

#include "setup.hpp"

namespace postern::inline sdk {

class Plugin;
namespace detail {
struct Instance;
}

class Plugin {
 public:
  Plugin() = default;
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  virtual ~Plugin() = default;

  // Reads the configuration and declares everything; no I/O, no threads. The constructor must not use the host.
  virtual void init(Setup& setup, std::string_view config_json) = 0;
  virtual void activate() {}
  // End what runs; Pendings that are left over become Gone.
  virtual void deactivate(milliseconds drain) { static_cast<void>(drain); }
  // What the plugin offers to the host, by "postern.<name>/<revision>".
  virtual const void* extension(std::string_view id) {
    static_cast<void>(id);
    return nullptr;
  }

 protected:
  // Any thread, from init on.
  const Log& log() const { return log_; }

 private:
  friend struct detail::Instance;
  Log log_;
};

namespace detail {

struct Instance {
  HostTables tables;
  Slots slots{{}, {}, {}, {}, {}, TimerSlots(tables), {}};
  std::unique_ptr<Plugin> plugin;

  static Instance& of(postern_instance* self) { return *reinterpret_cast<Instance*>(self); }

  template <typename Table>
  void find(const Table*& table, std::string_view id) {
    table = static_cast<const Table*>(tables.api.get_extension(tables.host, to_abi(id)));
  }

  // The first moment at which the host may be called.
  void connect() {
    find(tables.schemes, POSTERN_EXT_SCHEMES);
    find(tables.routes, POSTERN_EXT_ROUTES);
    find(tables.events, POSTERN_EXT_EVENTS);
    find(tables.records, POSTERN_EXT_RECORDS);
    find(tables.http, POSTERN_EXT_HTTP);
    find(tables.log, POSTERN_EXT_LOG);
    find(tables.health, POSTERN_EXT_HEALTH);
    find(tables.metrics, POSTERN_EXT_METRICS);
    find(tables.client, POSTERN_EXT_CLIENT);
    find(tables.timers, POSTERN_EXT_TIMERS);
    find(tables.services, POSTERN_EXT_SERVICES);
    find(tables.websocket, POSTERN_EXT_WEBSOCKET);
    find(tables.reports, POSTERN_EXT_REPORTS);
    plugin->log_ = Log(tables);
  }

  void set_error(std::string_view text) const {
    if (tables.api.set_error != nullptr) tables.api.set_error(tables.host, to_abi(text));
  }

  // Runs a call of the plugin's life; an exception becomes a status with its text.
  template <typename Call>
  postern_status guarded(Call call) noexcept {
    try {
      return call();
    } catch (const Error& error) {
      set_error(error.what());
      return error.status();
    } catch (const std::exception& error) {
      set_error(error.what());
    } catch (...) {
      set_error("unknown exception");
    }
    return POSTERN_E_INTERNAL;
  }
};

// A callable taking Argument&, or a member function of the plugin that does, as one callable.
template <typename Argument, typename F>
auto bind_to(Plugin& self, F function) {
  return [&self, function = std::move(function)](Argument& argument) -> decltype(auto) {
    static_cast<void>(self);  // unused for a callable
    if constexpr (std::is_member_function_pointer_v<F>) {
      return [&]<typename R, typename C>(R (C::*member)(Argument&)) -> R {
        static_assert(std::is_base_of_v<Plugin, C>, "it must be a member of the plugin");
        return (static_cast<C&>(self).*member)(argument);
      }(function);
    } else {
      return function(argument);
    }
  };
}

template <typename F>
EventFunction to_event_function(Plugin& self, F handler) {
  auto call = bind_to<Delivery>(self, std::move(handler));
  using Returned = decltype(call(std::declval<Delivery&>()));
  static_assert(std::is_void_v<Returned> || std::is_convertible_v<Returned, Outcome>,
                "a handler returns void or postern::Outcome");
  return [call = std::move(call)](Delivery& delivery) -> Outcome {
    if constexpr (std::is_void_v<Returned>) {
      call(delivery);
      return delivery.detached() ? Outcome::pending() : Outcome::done();
    } else {
      return call(delivery);
    }
  };
}

// Of reply routes and WebSocket routes.
template <typename Argument, typename F>
std::function<std::optional<Response>(Argument&)> to_answering_function(Plugin& self, F handler) {
  auto call = bind_to<Argument>(self, std::move(handler));
  using Returned = decltype(call(std::declval<Argument&>()));
  static_assert(std::is_void_v<Returned> || std::is_convertible_v<Returned, std::optional<Response>>,
                "a handler returns postern::Response, an optional one, or, where it always detaches or accepts, void");
  return [call = std::move(call)](Argument& exchange) -> std::optional<Response> {
    if constexpr (std::is_void_v<Returned>) {
      call(exchange);
      return std::nullopt;
    } else {
      return call(exchange);
    }
  };
}

template <typename F>
ReplyFunction to_reply_function(Plugin& self, F handler) {
  return to_answering_function<Exchange>(self, std::move(handler));
}

template <typename F>
HandshakeFunction to_handshake_function(Plugin& self, F handler) {
  return to_answering_function<Handshake>(self, std::move(handler));
}

template <typename F>
ServiceFunction to_service_function(Plugin& self, F function) {
  auto call = bind_to<ServiceCall>(self, std::move(function));
  using Returned = decltype(call(std::declval<ServiceCall&>()));
  static_assert(std::is_void_v<Returned> || std::is_constructible_v<std::string, Returned>,
                "a service returns its answer, as a std::string is made of it, or void");
  return [call = std::move(call)](ServiceCall& service) -> std::string {
    if constexpr (std::is_void_v<Returned>) {
      call(service);
      return {};
    } else {
      return std::string(call(service));
    }
  };
}

inline Outcome run_guarded(const EventFunction& handler, Delivery& delivery) {
  try {
    return handler(delivery);
  } catch (const Postpone& postpone) {
    return Outcome::postpone(postpone.what(), postpone.after());
  } catch (const Retry& retry) {
    return Outcome::retry(retry.what(), retry.after());
  } catch (const Dead& dead) {
    return Outcome::dead(dead.what());
  } catch (const Error& error) {
    return error.status() == POSTERN_E_LIMIT ? Outcome::dead(error.what()) : Outcome::retry(error.what());
  } catch (const std::exception& error) {
    return Outcome::retry(error.what());
  } catch (...) {
    return Outcome::retry("unknown exception");
  }
}

inline postern_status run_handler(postern_instance* self, void* user, postern_delivery* handle) noexcept {
  Instance& instance = Instance::of(self);
  Delivery delivery(instance.tables, handle);
  Outcome outcome = run_guarded(*static_cast<EventFunction*>(user), delivery);
  if (delivery.detached()) {  // the handle may be gone already: only its Pending knows
    if (outcome.status() != POSTERN_PENDING && outcome.status() != POSTERN_OK) {
      Log(instance.tables).warn("a handler failed after detach(): " + outcome.why());
    }
    return POSTERN_PENDING;
  }
  if (outcome.status() == POSTERN_PENDING) outcome = Outcome::retry("the handler returned pending without detach()");
  if (outcome.status() != POSTERN_OK) instance.set_error(outcome.why());
  if (outcome.comes_again() && outcome.after().count() > 0) {
    instance.tables.events->retry_after(handle, static_cast<uint64_t>(outcome.after().count()));
  }
  return outcome.status();
}

inline postern_status run_reply(postern_instance* self, void* user, const postern_request* request,
                                postern_reply* reply) noexcept {
  Instance& instance = Instance::of(self);
  return instance.guarded([&]() -> postern_status {
    Exchange exchange(instance.tables, request, reply);
    std::optional<Response> response;
    try {
      response = (*static_cast<ReplyFunction*>(user))(exchange);
    } catch (const std::exception& error) {
      if (!exchange.detached()) throw;
      Log(instance.tables).warn(std::string("a reply handler failed after detach(): ") + error.what());
    } catch (...) {
      if (!exchange.detached()) throw;
      Log(instance.tables).warn("a reply handler failed after detach(): unknown exception");
    }
    if (exchange.detached()) return POSTERN_PENDING;  // the handle may be gone already: only its PendingReply knows
    if (!response) throw Error(POSTERN_E_STATE, "the handler returned without a response and without detach()");
    postern_status sent = detail::send(*instance.tables.http, reply, *response);
    if (sent != POSTERN_E_GONE) check(sent, "send");  // too late is nobody's fault here
    return POSTERN_OK;
  });
}

inline postern_status run_handshake(postern_instance* self, void* user, const postern_request* request,
                                    postern_reply* reply) noexcept {
  Instance& instance = Instance::of(self);
  return instance.guarded([&]() -> postern_status {
    Handshake handshake(instance.tables, request, reply);
    std::optional<Response> response;
    try {
      response = (*static_cast<HandshakeFunction*>(user))(handshake);
    } catch (const std::exception& error) {
      if (!handshake.accepted()) throw;
      Log(instance.tables).warn(std::string("a WebSocket's handler failed after accept(): ") + error.what());
    }
    if (handshake.accepted()) return POSTERN_OK;
    if (handshake.detached()) return POSTERN_PENDING;
    if (!response) throw Error(POSTERN_E_STATE, "the handler returned without accept() and without a response");
    postern_status sent = detail::send(*instance.tables.http, reply, *response);
    if (sent != POSTERN_E_GONE) check(sent, "send");
    return POSTERN_OK;
  });
}

inline postern_status run_verify(postern_instance* self, void* user, const postern_request* request, int64_t now_ms,
                                 const postern_str* secrets, size_t secrets_len, postern_explain* explain) noexcept {
  Instance& instance = Instance::of(self);
  return instance.guarded([&]() -> postern_status {
    Verification verification(instance.tables, request, now_ms, secrets, secrets_len, explain);
    return static_cast<SchemeFunctions*>(user)->verify(verification) ? POSTERN_OK : POSTERN_E_DENIED;
  });
}

inline postern_status run_sign(postern_instance* self, void* user, const postern_request* request, int64_t now_ms,
                               postern_str secret, postern_signing* signing) noexcept {
  Instance& instance = Instance::of(self);
  return instance.guarded([&] {
    Signing call(instance.tables, request, now_ms, to_view(secret), signing);
    static_cast<SchemeFunctions*>(user)->sign(call);
    return POSTERN_OK;
  });
}

inline postern_status run_health(postern_instance* self, void* user, postern_health_report* report) noexcept {
  Instance& instance = Instance::of(self);
  return instance.guarded([&] {
    Health health = (*static_cast<HealthFunction*>(user))();
    return instance.tables.health->report(report, health.state, to_abi(health.message), to_abi(health.details_json));
  });
}

// What somebody has chosen to say reaches the caller; other exceptions may say anything, so only the log has them.
inline postern_status run_service(postern_instance* self, void* user, postern_service_call* handle) noexcept {
  Instance& instance = Instance::of(self);
  const postern_ext_services& table = *instance.tables.services;
  auto says = [&](postern_status status, const std::exception& error) {
    instance.set_error(error.what());
    return status;
  };
  auto hides = [&](const char* error) {
    Log(instance.tables).warn(std::string("a service failed: ") + error);
    return POSTERN_E_INTERNAL;
  };
  try {
    ServiceCall call(table, handle);
    std::string answer = (*static_cast<ServiceFunction*>(user))(call);
    return table.answer(handle, to_abi(answer));
  } catch (const ServiceError& error) {
    return says(error.status(), error);
  } catch (const Retry& retry) {
    if (retry.after().count() > 0) table.retry_after(handle, static_cast<uint64_t>(retry.after().count()));
    return says(POSTERN_RETRY, retry);
  } catch (const Dead& dead) {
    return says(POSTERN_DEAD, dead);
  } catch (const std::exception& error) {
    return hides(error.what());
  } catch (...) {
    return hides("unknown exception");
  }
}

inline postern_status init(postern_instance* self, postern_str config_json) noexcept {
  Instance& instance = Instance::of(self);
  return instance.guarded([&] {
    instance.connect();
    Setup setup(instance.tables, instance.slots, *instance.plugin);
    instance.plugin->init(setup, to_view(config_json));
    if (setup.status() != POSTERN_OK) instance.set_error(setup.failures());
    return setup.status();
  });
}

inline postern_status activate(postern_instance* self) noexcept {
  Instance& instance = Instance::of(self);
  return instance.guarded([&] {
    instance.plugin->activate();
    return POSTERN_OK;
  });
}

inline void deactivate(postern_instance* self, uint32_t drain_ms) noexcept {
  Instance& instance = Instance::of(self);
  try {
    instance.plugin->deactivate(milliseconds(drain_ms));
  } catch (const std::exception& error) {
    Log(instance.tables).error(std::string("deactivate: ") + error.what());
  } catch (...) {
    Log(instance.tables).error("deactivate: unknown exception");
  }
}

inline void destroy(postern_instance* self) noexcept { delete &Instance::of(self); }

inline const void* get_extension(postern_instance* self, postern_str id) noexcept {
  try {
    return Instance::of(self).plugin->extension(to_view(id));
  } catch (...) {
    return nullptr;
  }
}

inline constexpr postern_plugin kPlugin = {sizeof(postern_plugin), 0, &init, &activate, &deactivate, &destroy,
                                           &get_extension};

template <typename T>
postern_status create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin,
                      postern_instance** instance) noexcept {
  static_assert(std::is_base_of_v<Plugin, T>, "POSTERN_PLUGIN needs a class derived from postern::Plugin");
  try {
    auto made = std::make_unique<Instance>();
    std::memcpy(&made->tables.api, api, std::min<size_t>(api->struct_size, sizeof(postern_host_api)));
    made->tables.host = host;
    if (made->tables.api.get_extension == nullptr) return POSTERN_E_UNSUPPORTED;
    made->plugin = std::make_unique<T>();
    *plugin = &kPlugin;
    *instance = reinterpret_cast<postern_instance*>(made.release());
    return POSTERN_OK;
  } catch (...) {  // nothing of the host may be called here, not even set_error
    return POSTERN_E_INTERNAL;
  }
}

constexpr postern_str literal(std::string_view text) { return {text.data(), text.size()}; }

template <typename... Ids>
constexpr std::array<postern_str, sizeof...(Ids)> literals(Ids... ids) {
  return {literal(ids)...};
}

}  // namespace detail

// The descriptor of plugin class T. `requires_ext` must live as long as the program.
template <typename T>
constexpr postern_plugin_entry make_entry(std::string_view id, std::string_view version, std::string_view build_id,
                                          const postern_str* requires_ext, size_t requires_len) {
  return {sizeof(postern_plugin_entry),
          POSTERN_ABI_MAJOR,
          POSTERN_ABI_MINOR,
          0,
          detail::literal(id),
          detail::literal(version),
          detail::literal(build_id),
          requires_ext,
          requires_len,
          &detail::create<T>};
}

}  // namespace postern::inline sdk

#ifndef POSTERN_PLUGIN_BUILD_ID
#define POSTERN_PLUGIN_BUILD_ID ""
#endif

// Once per library, at global scope: the exported symbol (abi.h declares it so). After the version come the extensions
// without which the plugin cannot work.
#define POSTERN_PLUGIN(Class, id, version, ...)                                               \
  static constexpr auto postern_plugin_requires = ::postern::detail::literals(__VA_ARGS__);   \
  constinit const postern_plugin_entry postern_entry = ::postern::make_entry<Class>(          \
      id, version, POSTERN_PLUGIN_BUILD_ID, postern_plugin_requires.data(), postern_plugin_requires.size())
