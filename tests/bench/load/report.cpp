#include "tests/bench/load/report.h"

#include <cstdarg>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace postern::load {
namespace {

double seconds(const Figures& figures) {
  return figures.last_us > figures.first_us ? static_cast<double>(figures.last_us - figures.first_us) / 1e6 : 0;
}

__attribute__((format(printf, 2, 3))) void append(std::string& text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text += line;
}

using Count = unsigned long long;  // for printf

}  // namespace

double acks_per_second(const Figures& figures) {
  const double took = seconds(figures);
  return took > 0 ? static_cast<double>(figures.acked) / took : 0;
}

std::string report_for_people(const Options& options, const Figures& figures, double cpu_s) {
  std::string text;
  const auto& latency = figures.latency;
  append(text, "%.0f acks/s: %llu of %llu requests in %.2f s, %u connections, %u threads, CPU %.2f s\n",
         acks_per_second(figures), Count{figures.acked}, Count{figures.requests}, seconds(figures), options.connections,
         options.threads, cpu_s);
  append(text, "latency  p50 %llu  p90 %llu  p99 %llu  p99.9 %llu  max %llu us\n", Count{latency.percentile(0.5)},
         Count{latency.percentile(0.9)}, Count{latency.percentile(0.99)}, Count{latency.percentile(0.999)},
         Count{latency.max()});
  if (options.duplicates > 0 || figures.duplicates > 0) {
    append(text, "duplicates  %llu repeated on purpose, %llu recognised\n", Count{figures.repeats},
           Count{figures.duplicates});
  }
  text += "statuses";
  for (const auto& [status, count] : figures.statuses) append(text, "  %d: %llu", status, Count{count});
  append(text, "\nerrors  broken %llu  timed out %llu  malformed %llu  refused connections %llu\n",
         Count{figures.broken}, Count{figures.timeouts}, Count{figures.malformed}, Count{figures.refused_connections});
  if (figures.unacked > 0) append(text, "fate unknown of %llu events\n", Count{figures.unacked});
  return text;
}

std::string report_as_json(const Options& options, const Figures& figures, double cpu_s) {
  nlohmann::ordered_json json;
  json["to"] = options.host + ":" + options.port;
  json["connections"] = options.connections;
  json["threads"] = options.threads;
  json["seconds"] = seconds(figures);
  json["requests"] = figures.requests;
  json["acked"] = figures.acked;
  json["acks_per_s"] = acks_per_second(figures);
  json["queued"] = figures.queued;
  json["duplicates"] = figures.duplicates;
  json["repeats"] = figures.repeats;
  json["retries"] = figures.retries;
  json["statuses"] = nlohmann::ordered_json::object();
  for (const auto& [status, count] : figures.statuses) json["statuses"][std::to_string(status)] = count;
  json["errors"] = figures.errors();
  json["broken"] = figures.broken;
  json["timeouts"] = figures.timeouts;
  json["malformed"] = figures.malformed;
  json["refused_connections"] = figures.refused_connections;
  json["unacked"] = figures.unacked;
  json["p50_us"] = figures.latency.percentile(0.5);
  json["p90_us"] = figures.latency.percentile(0.9);
  json["p99_us"] = figures.latency.percentile(0.99);
  json["p999_us"] = figures.latency.percentile(0.999);
  json["max_us"] = figures.latency.max();
  json["cpu_s"] = cpu_s;
  return json.dump() + "\n";
}

}  // namespace postern::load
