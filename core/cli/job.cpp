#include "core/cli/job.h"

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/cli/admin_client.h"
#include "core/cli/event_output.h"
#include "core/cli/output.h"

namespace postern::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kManyToReplay = 100;  // without a question
constexpr std::chrono::milliseconds kLookEvery(200);
constexpr size_t kShown = 5;  // in a dry run

volatile std::sig_atomic_t interrupted = 0;

// Ctrl-C ends the watching, not the job.
class Interrupts {
 public:
  Interrupts() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    ::sigaction(SIGINT, &action, &before_);
  }
  ~Interrupts() { ::sigaction(SIGINT, &before_, nullptr); }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  struct sigaction before_ {};
};

bool shows_progress() { return ::isatty(STDERR_FILENO) == 1; }

std::string counted(uint64_t count, const JobWords& words) { return std::to_string(count) + " " + (count == 1 ? words.one : words.many); }

// "evt_…" as it is, digits as a number.
json id_of(const std::string& text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? json(number) : json(text);
}

struct Matches {
  uint64_t count = 0;
  json first = json::array();
};

// Page by page: each call of the gateway is short, however much there is.
bool count_matches(const Options& options, const std::string& base, json body, Matches& matches, int& status) {
  body["count"] = true;
  body["limit"] = kShown;
  while (true) {
    json page;
    if (!tell(options.config_file, base + "/find", body, page, status)) return false;
    matches.count += page["matched"].get<uint64_t>();
    for (json& row : page["deliveries"]) {
      if (matches.first.size() < kShown) matches.first.push_back(std::move(row));
    }
    if (page["next"].is_null()) return true;
    body["after"] = page["next"];
    if (shows_progress()) std::cerr << "\r  counting: " << matches.count << "\x1b[K" << std::flush;
  }
}

int tell_dry_run(const Options& options, const Matches& matches, const JobWords& words) {
  if (options.json) {
    print_json({{"dry_run", true}, {"matched", matches.count}, {"deliveries", matches.first}});
    return matches.count > 0 ? kDone : kNotSo;
  }
  print("would " + std::string(words.verb) + " " + counted(matches.count, words) + "; nothing was changed");
  Table table({"DELIVERY", "EVENT", "TYPE", "SUBSCRIBER", "STATE", "ERROR"});
  table.colour_states(4);
  for (const json& d : matches.first) {
    table.add({d["seq"].dump(), text_of(d["event_id"]), text_of(d["type"]), text_of(d["plugin"]) + "/" + text_of(d["subscriber"]),
               text_of(d["state"]), d["last_error"].is_null() ? "-" : text_of(d["last_error"])});
  }
  if (!matches.first.empty()) table.print();
  if (matches.count > matches.first.size()) print("  and " + std::to_string(matches.count - matches.first.size()) + " more");
  return matches.count > 0 ? kDone : kNotSo;
}

void show_progress(const json& job, const JobWords& words) {
  if (!shows_progress()) return;
  uint64_t done = job["done"].get<uint64_t>() + job["skipped"].get<uint64_t>();
  std::string total = job["total"].is_null() ? "…" : job["total"].dump();
  std::cerr << "\r  " << words.past << " " << done << " of " << total << "\x1b[K" << std::flush;
}

int tell_end(const Options& options, const json& job, const JobWords& words) {
  if (shows_progress()) std::cerr << "\r\x1b[K";
  bool done = job["state"] == "done";
  if (options.json) return print_json(job), done ? kDone : kNotSo;
  uint64_t skipped = job["skipped"].get<uint64_t>();
  print(std::string(words.past) + " " + counted(job["done"].get<uint64_t>(), words) +
        (skipped > 0 ? "; left as they are, because they had changed meanwhile or nobody takes them now: " + std::to_string(skipped) : ""));
  if (!done) complain("postern: job " + job["id"].dump() + " was cancelled");
  return done ? kDone : kNotSo;
}

void tell_how_to_look(const json& job) {
  std::string id = job["id"].dump();
  complain("job " + id + " goes on in the gateway: `postern jobs show " + id + "` tells how far it is, `postern jobs cancel " + id +
           "` ends it");
}

// Filters and ids exclude each other, and one of them or --all must be there.
bool is_clear(const JobOptions& wanted) {
  bool filtered = !wanted.selection.is_empty();
  if (!wanted.ids.empty() && (filtered || wanted.selection.all)) {
    complain("postern: name deliveries or give filters, not both");
  } else if (wanted.ids.empty() && !filtered && !wanted.selection.all) {
    complain("postern: name some, give a filter (--plugin --type --since --until --error), or say --all");
  } else {
    return true;
  }
  return false;
}

int start_job(const Options& options, const JobOptions& wanted, const std::string& path, const json& body, const JobWords& words) {
  json answer;
  int status = kDone;
  if (!tell(options.config_file, path, body, answer, status)) return status;
  for (const json& refused : answer.value("refused", json::array())) {
    std::string id = refused["id"].is_string() ? printable(refused["id"].get<std::string>()) : refused["id"].dump();
    complain("postern: " + id + ": " + printable(refused["error"].get<std::string>()));
    status = kNotSo;
  }
  if (answer["job"].is_null()) return options.json ? print_json(answer) : void(), kNotSo;
  if (wanted.detach) {
    options.json ? print_json(answer["job"]) : print("job " + answer["job"]["id"].dump() + " runs in the gateway");
    return status;
  }
  int end = follow_job(options, answer["job"], words);
  return end == kDone ? status : end;
}

}  // namespace

bool confirmed(const std::string& question, bool yes) {
  if (yes || ::isatty(STDIN_FILENO) == 0) return true;
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return true;
  complain("postern: nothing was changed");
  return false;
}

void add_job_options(CLI::App& command, JobOptions& wanted, bool with_rate) {
  command.add_flag("--all", wanted.selection.all, "All of them; needed where no filter and nothing by name is given");
  command.add_flag("--dry-run", wanted.dry_run, "Only count, and show the first few");
  command.add_flag("-y,--yes", wanted.yes, "Do not ask");
  command.add_flag("--detach", wanted.detach, "Do not wait for the end");
  if (!with_rate) return;
  command.add_option("--rate", wanted.rate, "How many a second at most")->check(CLI::Range(1, 100'000))->capture_default_str();
}

int run_job(const Options& options, const JobOptions& wanted, const std::string& base, const std::string& action, const JobWords& words) {
  if (!is_clear(wanted)) return kUsage;
  json body = json::object();
  if (Status s = to_body(wanted.selection, body); !s) return complain("postern: " + s.message()), kUsage;
  int status = kDone;
  if (wanted.ids.empty()) {
    Matches matches;
    if (!count_matches(options, base, body, matches, status)) return status;
    if (shows_progress()) std::cerr << "\r\x1b[K";
    if (matches.count == 0) complain("postern: nothing matches; nothing was changed");
    if (wanted.dry_run) return tell_dry_run(options, matches, words);
    if (matches.count == 0) return kNotSo;
    bool ask = action == "drop" || matches.count > kManyToReplay;
    if (ask && !confirmed(std::string(words.verb) + " " + counted(matches.count, words) + "?", wanted.yes)) return kNotSo;
    body["all"] = wanted.selection.all;
  } else {
    if (wanted.dry_run) {
      complain("postern: --dry-run is for filters; what is named is shown by `dead show` and `events show`");
      return kUsage;
    }
    for (const std::string& id : wanted.ids) body["ids"].push_back(id_of(id));
  }
  body["rate"] = wanted.rate;
  return start_job(options, wanted, base + "/" + action, body, words);
}

int follow_job(const Options& options, json job, const JobWords& words) {
  Interrupts interrupts;
  std::string path = "/admin/v1/jobs/" + job["id"].dump();
  int status = kDone;
  while (job["state"] == "running") {
    show_progress(job, words);
    std::this_thread::sleep_for(kLookEvery);
    if (interrupted != 0) {
      if (shows_progress()) std::cerr << '\n';
      tell_how_to_look(job);
      return kNotSo;
    }
    if (!ask(options.config_file, path, job, status)) return complain("the job goes on when the gateway is there again"), status;
  }
  return tell_end(options, job, words);
}

}  // namespace postern::cli
