// Gateway: the rooms put together and run: store, dispatcher, loops with their listeners, health, admin.
//
//   make()  opens the store and the listeners; nothing is served yet
//   run()   serves until a signal or a fatal fault, then drains: listeners close, answers at hand go out, handlers finish, the store
//           commits what it has. SIGHUP: the configuration is loaded again, and works from then on, unless something is wrong with it
// Thread-safety: the control thread (main), which has SIGTERM, SIGINT and SIGHUP blocked before make().
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/admin/admin_service.h"
#include "core/admin/views.h"
#include "core/admin/worker.h"
#include "core/client/client.h"
#include "core/config/config.h"
#include "core/dispatch/dispatcher.h"
#include "core/dispatch/job_runner.h"
#include "core/dispatch/timer_runner.h"
#include "core/gateway/assembly.h"
#include "core/gateway/front.h"
#include "core/gateway/generations.h"
#include "core/gateway/notices.h"
#include "core/gateway/reloader.h"
#include "core/gateway/service_manager.h"
#include "core/net/listener.h"
#include "core/observe/metrics.h"
#include "core/store/retention.h"
#include "core/store/sqlite/sqlite_store.h"

namespace postern::gateway {

// The exit status after the store has failed (EX_IOERR of sysexits.h).
constexpr int kExitStoreFailed = 74;
// When something is in the way of a start that may pass (EX_TEMPFAIL).
constexpr int kExitCannotStart = 75;

class Gateway {
 public:
  // Tries a configuration out where nothing can come of it: in a process of its own, which a plugin may end or hang.
  // `given_up`: nobody waits for the result any more.
  using Rehearse = std::function<Status(const std::string& file, const std::function<bool()>& given_up)>;

  static Result<std::unique_ptr<Gateway>> make(config::Config config, std::unique_ptr<Assembly> assembly, Rehearse rehearse = nullptr);
  ~Gateway();

  // The exit status. 0 after a signal.
  int run();

  // "127.0.0.1:8080", with the real ports.
  std::vector<std::string> addresses() const;

 private:
  // One event loop, its thread and what it serves.
  struct Loop {
    net::EventLoop loop;
    std::unique_ptr<Front> front;
    std::vector<std::unique_ptr<admin::AdminService>> admins;  // on the first loop only
    std::vector<std::unique_ptr<net::Acceptor>> acceptors;
    std::vector<net::StreamFactory> factories;  // as listeners_
    net::StreamFactory admin_factory;
    std::thread thread;
  };

  explicit Gateway(config::Config config, Rehearse rehearse);
  Status open(std::unique_ptr<Assembly> assembly);
  Status open_listeners();
  Status open_public_listeners();
  bool is_well(std::chrono::milliseconds within);
  Status start_loops();
  Status serve_public(Loop& loop);
  Status serve_admin(Loop& loop, const net::Listener& listener, const std::string& token, net::Acceptor::MakeStream make_stream);
  void set_entrances(Loop& loop, const Generation& generation);
  plugin::Publisher::Outlet outlet_for(const std::shared_ptr<const Generation>& generation);
  void make_upkeep();
  void add_health_checks();
  void set_health_checks(const std::shared_ptr<const Generation>& generation);
  std::string metrics();
  std::map<std::string, size_t> open_sessions() const;  // of WebSocket, by plugin, of all generations
  bool room_for_connection() const;
  bool counts_alone(const Loop& loop, const std::string& peer) const;
  std::optional<http::ConnectionCounts::Slot> count_client(const Loop& loop, const std::string& client);
  void accept(Loop& loop, std::unique_ptr<net::Stream> stream, bool is_plain);
  std::unique_ptr<net::Acceptor> make_acceptor(Loop& loop, size_t listener);
  void limit_connections(const config::Config& config);
  Status reload();
  uint64_t ask_to_reread();
  Status begin_dispatch();
  void start_notices();
  void stop_notices();
  void publish_notice(std::string_view type, std::string body, std::string id);
  Notices::Sight look_at_itself();
  void tell_of_quarantines(const Generation& generation);
  void judge(const Generation& generation);
  void renew_after_quarantine(int64_t not_before_ms);
  Result<nlohmann::json> release(const std::string& plugin);
  void adopt(const std::shared_ptr<const Generation>& generation);
  void retire(std::unique_ptr<Generation> generation);
  bool end(Generation& generation, int64_t within_ms);
  bool retire_all(const std::vector<std::shared_ptr<const Generation>>& held);
  std::string summary() const;
  int wait_for_signal();
  void drain();
  void wait_for_newcomers();
  void on_every_loop(const std::function<void(Loop&)>& task);
  nlohmann::json describe() const;
  nlohmann::json describe_all_plugins() const;
  nlohmann::json describe_reload() const;

  const config::Config config_;  // of the start: what of it a reload does not change
  const Rehearse rehearse_;
  client::Client client_;    // outlives the plugins that call by it
  Generations generations_;  // likewise what they use
  std::vector<std::unique_ptr<Generation>> ending_;  // in whose plugins a thread still is; the reloader's
  std::unique_ptr<store::sqlite::SqliteStore> store_;
  std::unique_ptr<dispatch::Dispatcher> dispatcher_;
  std::unique_ptr<dispatch::JobRunner> jobs_;
  std::unique_ptr<dispatch::TimerRunner> timers_;
  std::unique_ptr<store::Retention> retention_;
  std::unique_ptr<admin::UpkeepApi> upkeep_;
  http::MemoryBudget budget_;  // of requests on their way, on all loops
  http::ConnectionCounts connection_counts_;  // outlives the loops' connections
  observe::HealthBoard health_;
  std::unique_ptr<admin::Views> views_;
  std::unique_ptr<admin::Worker> admin_worker_;
  std::unique_ptr<Reloader> reloader_;
  std::atomic<bool> reread_{false};  // the next reload is to read the file
  plugin::Alarm quarantine_ends_;
  std::optional<plugin::Alarm::Id> quarantine_end_;  // the control thread's before the reloader's start, then the reloader's
  plugin::Publisher publisher_;  // of the gateway's own events
  Notices notices_;
  std::jthread notice_thread_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::unique_ptr<net::Listener> admin_listener_, admin_socket_;
  std::vector<std::unique_ptr<Loop>> loops_;
  service_manager::Watchdog watchdog_;
  std::atomic<uint32_t> max_connections_{0}, max_per_client_{0};
  bool all_back_ = true;  // no thread is inside a plugin after the drain
  const int64_t started_at_;
  std::atomic<bool> store_failed_{false};
};

// Of `postern plugins` and `postern status`: how plugins stand that have crashed.
nlohmann::json describe_standings(const Assembly& assembly);
// The parts of a generation, each of which holds it.
std::shared_ptr<const dispatch::Roster> roster_of(const std::shared_ptr<const Generation>& generation);
// Settings that differ and have an effect at the next start only.
std::vector<std::string> needing_restart(const config::Config& started, const config::Config& now);
store::Retention::Policy policy_of(const config::Retention& retention);

// What `postern plugins` and `postern routes` show.
nlohmann::json describe_plugins(const Assembly& assembly);
nlohmann::json describe_routes(const Assembly& assembly);
// Of `postern status`.
nlohmann::json describe_upstreams(const std::vector<client::UpstreamStatus>& upstreams);
// `durable`: by plugin.
nlohmann::json describe_timers(std::map<std::string, uint64_t> durable, const Assembly& assembly);

}  // namespace postern::gateway
