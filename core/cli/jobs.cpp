// postern jobs list|show|cancel
#include <nlohmann/json.hpp>

#include <memory>

#include "core/cli/admin_client.h"
#include "core/cli/command.h"
#include "core/cli/event_output.h"
#include "core/cli/output.h"

namespace postern::cli {
namespace {

using nlohmann::json;

void print_jobs(const json& jobs) {
  Table table({"JOB", "WHAT", "STATE", "DONE", "SKIPPED", "TOTAL", "BEGAN", "FILTER"});
  table.colour_states(2);
  for (const json& job : jobs) {
    std::string filter;
    for (const char* name : {"plugin", "type", "error"}) {
      if (job[name].is_string()) filter += std::string(name) + "=" + text_of(job[name]) + " ";
    }
    for (const char* name : {"since", "until"}) {
      if (job[name].is_number()) filter += std::string(name) + "=" + time_of(job[name]) + " ";
    }
    table.add({job["id"].dump(), job["kind"], job["state"], job["done"].dump(), job["skipped"].dump(),
               job["total"].is_null() ? "counting" : job["total"].dump(), time_of(job["created_at"]), filter.empty() ? "-" : filter});
  }
  table.print();
}

int list_jobs(const Options& options) {
  json jobs;
  int status = kDone;
  if (!ask(options.config_file, "/admin/v1/jobs", jobs, status)) return status;
  if (options.json) return print_json(jobs), kDone;
  jobs.empty() ? print("no jobs") : print_jobs(jobs);
  return kDone;
}

int show_job(const Options& options, const std::string& id) {
  json job;
  int status = kDone;
  if (!ask(options.config_file, "/admin/v1/jobs/" + encode(id), job, status)) return status;
  options.json ? print_json(job) : print_jobs(json::array({job}));
  return kDone;
}

int cancel_job(const Options& options, const std::string& id) {
  json job;
  int status = kDone;
  if (!tell(options.config_file, "/admin/v1/jobs/" + encode(id) + "/cancel", nullptr, job, status)) return status;
  if (options.json) return print_json(job), kDone;
  bool cancelled = job["state"] == "cancelled";
  std::string how = cancelled ? " is cancelled after " + job["done"].dump() + "; what it has done stays done" : " had ended already";
  print("job " + job["id"].dump() + how);
  return cancelled ? kDone : kNotSo;
}

}  // namespace

void add_jobs(CLI::App& app, const Options& options, int& status) {
  auto id = std::make_shared<std::string>();
  auto* jobs = app.add_subcommand("jobs", "Replays, drops and removals in the gateway");
  jobs->require_subcommand(1);
  auto* list = jobs->add_subcommand("list", "The last hundred");
  list->callback([&options, &status] { status = list_jobs(options); });
  auto* show = jobs->add_subcommand("show", "How far one is");
  show->add_option("JOB", *id, "Its number")->required();
  show->callback([&options, &status, id] { status = show_job(options, *id); });
  auto* cancel = jobs->add_subcommand("cancel", "End one where it is");
  cancel->add_option("JOB", *id, "Its number")->required();
  cancel->callback([&options, &status, id] { status = cancel_job(options, *id); });
  jobs->footer("Example:\n  postern jobs cancel 7");
}

}  // namespace postern::cli
