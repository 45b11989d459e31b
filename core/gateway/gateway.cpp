#include "core/gateway/gateway.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <future>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/thread_name.h"
#include "core/base/version.h"
#include "core/observe/metrics.h"

namespace postern::gateway {
namespace {

constexpr uint64_t kMaxBytesOnTheirWay = 256 * 1024 * 1024;  // of requests that are not whole yet
constexpr size_t kMaxAdminConnections = 64;

// Half of the cores, for the store's writer and the handlers want theirs; but two where there are two, since a loop alone is idle
// whenever the one batch it fed is written (measured on two cores: 60-66k acks/s with two loops, 57-61k with one).
uint32_t loops_for(const config::Config& config) {
  if (config.loops > 0) return config.loops;
  uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
  return std::max(std::min(cores, 2u), cores / 2);
}

}  // namespace

Gateway::Gateway(config::Config config, Rehearse rehearse)
    : config_(std::move(config)),
      rehearse_(std::move(rehearse)),
      budget_(kMaxBytesOnTheirWay),
      notices_([this](std::string_view type, std::string body, std::string id) { publish_notice(type, std::move(body), std::move(id)); }),
      started_at_(wall_ms()) {}

Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::make(config::Config config, std::unique_ptr<Assembly> assembly, Rehearse rehearse) {
  std::unique_ptr<Gateway> gateway(new Gateway(std::move(config), std::move(rehearse)));
  if (Status s = gateway->open(std::move(assembly)); !s) return s;
  return gateway;
}

Status Gateway::open(std::unique_ptr<Assembly> assembly) {
  limit_connections(config_);
  auto generation = Generation::make(config_, std::move(assembly));
  if (!generation) return generation.status();
  auto first = generations_.watch(std::move(*generation));
  generations_.set_current(first);

  store::sqlite::Committer::Limits limits;
  limits.max_backlog = config_.max_backlog;
  auto store = store::sqlite::SqliteStore::open(config_.store_path, limits);
  if (!store) return store.status();
  store_ = std::move(*store);
  dispatcher_ = std::make_unique<dispatch::Dispatcher>(roster_of(first), *store_, config_.workers);
  if (Status s = first->assembly->connect(client_, outlet_for(first), *store_, first); !s) return s;
  make_upkeep();
  views_ = std::make_unique<admin::Views>(admin::Sources{*store_, *dispatcher_, [this] { return describe_all_plugins(); },
                                                         [this] { return describe_routes(*generations_.current()->assembly); },
                                                         [this] { return describe(); }, [this] { return metrics(); }});
  admin_worker_ = std::make_unique<admin::Worker>();
  reloader_ = std::make_unique<Reloader>(generations_, [this] { return reload(); },
                                         [this](std::unique_ptr<Generation> ended) { retire(std::move(ended)); });
  add_health_checks();
  set_health_checks(first);
  return open_listeners();
}

// Events of plugins go to whoever takes them in the configuration in service; but for those of one that is about to be in service, whose
// plugins are at work already: there it is the later one.
plugin::Publisher::Outlet Gateway::outlet_for(const std::shared_ptr<const Generation>& generation) {
  auto address = [this, own = std::weak_ptr<const Generation>(generation)](ingest::NewEvent& event) {
    auto latest = generations_.current();
    if (auto ours = own.lock(); ours && ours->number > latest->number) latest = std::move(ours);
    event.targets = latest->assembly->targets().match(event);
    event.dedupe_until = event.received_at + latest->config.dedupe_window.count();
  };
  return {*store_, *dispatcher_, std::move(address)};
}

void Gateway::make_upkeep() {
  jobs_ = std::make_unique<dispatch::JobRunner>(*store_, *dispatcher_);
  timers_ = std::make_unique<dispatch::TimerRunner>(*store_, *store_, roster_of(generations_.current()));
  retention_ = std::make_unique<store::Retention>(*store_, policy_of(config_.retention));
  upkeep_ = std::make_unique<admin::UpkeepApi>(admin::UpkeepApi::Sources{
      *store_, *store_, *dispatcher_, [this] { return retention_->policy(); }, [this] { jobs_->nudge(); }});
}

Status Gateway::open_listeners() {
  if (Status s = open_public_listeners(); !s) return s;
  auto socket = net::Listener::open("unix:" + config_.admin.socket);
  if (!socket) return socket.status().with_context("admin.socket");
  admin_socket_ = std::move(*socket);
  if (config_.admin.listen.empty()) return Status::ok();
  auto listener = net::Listener::open(config_.admin.listen);
  if (!listener) return listener.status().with_context("admin.listen");
  admin_listener_ = std::move(*listener);
  return Status::ok();
}

// Those that the service manager holds already are not opened again.
Status Gateway::open_public_listeners() {
  constexpr unsigned kAnybody = 0666;  // a public unix socket is for the web server before us
  auto inherited = service_manager::inherited_listeners();
  if (!inherited) return inherited.status();
  for (const auto& held : *inherited) {
    auto is_named = [&](const config::Listen& listen) { return listen.address == held->address(); };
    if (std::any_of(config_.listen.begin(), config_.listen.end(), is_named)) continue;
    return {Code::kInvalid, "the service manager holds a socket at " + held->address() +
                                " that gateway.listen does not name: add it there, or take it out of postern.socket"};
  }
  for (const config::Listen& listen : config_.listen) {
    auto held = std::find_if(inherited->begin(), inherited->end(), [&](const auto& l) { return l && l->address() == listen.address; });
    if (held != inherited->end()) {
      listeners_.push_back(std::move(*held));
      continue;
    }
    auto listener = net::Listener::open(listen.address, kAnybody);
    if (!listener) return listener.status();
    listeners_.push_back(std::move(*listener));
  }
  return Status::ok();
}

std::map<std::string, size_t> Gateway::open_sessions() const {
  std::map<std::string, size_t> open;
  for (const auto& generation : generations_.all()) {
    for (const auto& instance : generation->assembly->instances()) {
      if (instance->sessions().used()) open[instance->name()] += instance->sessions().size();
    }
  }
  return open;
}

std::string Gateway::metrics() {
  const std::shared_ptr<const Generation> generation = generations_.current();
  const Assembly& assembly = *generation->assembly;
  observe::MetricSources sources{*store_, *dispatcher_, assembly.targets().types(), {}, assembly.call_threads(), {}, {}, started_at_};
  sources.generation = generation->number;
  sources.standings = assembly.standings();
  sources.sessions = open_sessions();
  sources.loops = [this] {
    std::vector<observe::MetricSources::Loop> list;
    for (const auto& loop : loops_) list.push_back({&loop->front->ingest().meter(), loop->front->connections().size()});
    return list;
  };
  sources.upstreams = [this] { return client_.status(); };
  sources.timers = [this] {
    dispatch::TimerRunner::Status status = timers_->status();
    return observe::MetricSources::Timers{store_->waiting_timers(), status.fired, status.late};
  };
  for (const auto& instance : assembly.instances()) {
    const plugin::Registrations& registered = instance->registrations();
    sources.plugins.push_back({instance->name(), &registered.metrics});
    sources.services.insert(sources.services.end(), registered.services.begin(), registered.services.end());
  }
  return observe::metrics_text(sources);
}

Status Gateway::serve_public(Loop& loop) {
  loop.front = std::make_unique<Front>(loop.loop, health_, generations_.current(), *store_, *dispatcher_);
  loop.factories.resize(listeners_.size());
  set_entrances(loop, *generations_.current());
  for (size_t i = 0; i < listeners_.size(); ++i) {
    loop.acceptors.push_back(make_acceptor(loop, i));
    if (Status s = loop.acceptors.back()->start(); !s) return s;
  }
  return Status::ok();
}

// What is listened on stays as it was at the start; how connections begin there is as the configuration says now.
void Gateway::set_entrances(Loop& loop, const Generation& generation) {
  const Entrances& entrances = generation.assembly->entrances();
  loop.factories = factories_for(config_.listen, generation.config.listen, entrances, loop.factories);
  for (net::StreamFactory& factory : loop.factories) {
    factory.count_client = [this, &loop](const std::string& client) -> std::shared_ptr<void> {
      auto slot = count_client(loop, client);
      if (slot) return std::make_shared<http::ConnectionCounts::Slot>(std::move(*slot));
      loop.front->turned_away(ingest::Refusal::kClientConnections, client);
      return nullptr;
    };
    factory.on_bad_start = [&loop](net::BadStart how) { loop.front->bad_start(how); };
  }
  if (generation.config.admin.listen == config_.admin.listen) loop.admin_factory = entrances.admin();
}

Status Gateway::serve_admin(Loop& loop, const net::Listener& listener, const std::string& token, net::Acceptor::MakeStream make_stream) {
  bool open_metrics = config_.admin.open_metrics;
  loop.admins.push_back(std::make_unique<admin::AdminService>(
      loop.loop, *admin_worker_,
      admin::AdminService::Parts{*views_, *upkeep_, health_, [this] { return ask_to_reread(); },
                                 [this](const std::string& plugin) { return release(plugin); }},
      token, open_metrics));
  admin::AdminService& service = *loop.admins.back();
  auto on_accept = [this, &loop, &service](std::unique_ptr<net::Stream> stream) {
    // Attack: whoever can reach the listener needs no token to hold connections.
    if (service.connections().size() >= kMaxAdminConnections) service.connections().close_oldest_waiting();
    if (service.connections().size() >= kMaxAdminConnections) return;
    service.connections().open(loop.loop, std::move(stream), service, loop.front->timeouts(), budget_);
  };
  loop.acceptors.push_back(std::make_unique<net::Acceptor>(loop.loop, listener, std::move(on_accept), std::move(make_stream)));
  return loop.acceptors.back()->start();
}

Status Gateway::start_loops() {
  for (uint32_t i = 0; i < loops_for(config_); ++i) {
    Loop& loop = *loops_.emplace_back(std::make_unique<Loop>());
    if (Status s = loop.loop.open(); !s) return s;
  }
  for (auto& loop : loops_) {
    if (Status s = serve_public(*loop); !s) return s;
  }
  Loop& first = *loops_.front();
  if (Status s = serve_admin(first, *admin_socket_, "", net::Acceptor::make_plain); !s) return s;
  if (admin_listener_) {
    auto make_stream = [&first](Poco::Net::StreamSocket socket) { return first.admin_factory.make(std::move(socket)); };
    if (Status s = serve_admin(first, *admin_listener_, config_.admin.token, make_stream); !s) return s;
  }
  for (auto& loop : loops_) {
    loop->thread = std::thread([&loop = loop->loop] {
      name_thread("loop");
      loop.run();
    });
  }
  return Status::ok();
}

int Gateway::run() {
  Status started = store_->start(*dispatcher_, *dispatcher_, [this](const Status&) {
    store_failed_ = true;
    ::kill(::getpid(), SIGTERM);
  });
  if (started) started = client_.start();
  if (started) started = begin_dispatch();
  if (started) {
    jobs_->start();
    timers_->start();
    retention_->start();
    health_.start();
    give_back_memory();  // of the load
    started = start_loops();
  }
  if (!started) {
    log::error("cannot start", {{"error", started.message()}});
    drain();
    if (all_back_) return kExitCannotStart;
    log::leave(kExitCannotStart);  // a thread is still inside a plugin: nothing may be destroyed under it
  }
  renew_after_quarantine(0);
  reloader_->start();
  for (size_t i = 0; i < listeners_.size(); ++i) {
    log::info("listening", {{"address", listeners_[i]->address()}, {"tls", config_.listen[i].tls ? "yes" : "no"}});
  }
  warn_of_certificates(generations_.current()->assembly->entrances());
  log::info("ready", {{"version", version()}, {"store", config_.store_path}, {"queued", store_->counters().open}});
  service_manager::ready(summary());
  watchdog_.start([this](std::chrono::milliseconds within) { return is_well(within); });
  int status = wait_for_signal();
  watchdog_.stop();
  service_manager::stopping();
  drain();
  if (store_failed_) status = kExitStoreFailed;  // in the drain, perhaps
  log::info("stopped", {{"status", status}});
  if (all_back_) return status;
  log::leave(status);  // a thread is still inside a plugin: nothing may be destroyed under it
}

// Every loop turns and the committer comes round. That a full disk refuses commits is not for a restart to mend.
bool Gateway::is_well(std::chrono::milliseconds within) {
  auto until = std::chrono::steady_clock::now() + within;
  for (auto& loop : loops_) {
    auto turned = std::make_shared<std::promise<void>>();  // it may turn when nobody waits any more
    auto done = turned->get_future();
    loop->loop.post([turned] { turned->set_value(); });
    if (done.wait_until(until) != std::future_status::ready) return false;
  }
  return store_->comes_round(std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()));
}

int Gateway::wait_for_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  while (true) {
    int signal = 0;
    if (::sigwait(&signals, &signal) != 0) continue;
    if (store_failed_) return kExitStoreFailed;
    if (signal == SIGHUP) {
      ask_to_reread();
      continue;
    }
    log::info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
    return 0;
  }
}

uint64_t Gateway::ask_to_reread() {
  reread_ = true;
  return reloader_->ask();
}

std::string Gateway::summary() const { return "listens on " + (listeners_.empty() ? "nothing" : listeners_.front()->address()); }

std::vector<std::string> Gateway::addresses() const {
  std::vector<std::string> list;
  for (const auto& listener : listeners_) list.push_back(listener->address());
  return list;
}

}  // namespace postern::gateway
