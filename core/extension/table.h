// The host's side of the ABI: what get_extension answers, one file for each extension. Thread-safety: any thread; const tables.
#pragma once

#include <postern/abi.h>
#include <postern/ext/health.h>

#include <string>
#include <string_view>

namespace postern::extension {

// What plugins are given at create.
const postern_host_api& host_api();

bool has_extension(std::string_view id);

const void* schemes();
const void* routes();
const void* events();
const void* records();
const void* http();
const void* log();
const void* health();
const void* metrics();
const void* client();
const void* timers();
const void* services();
const void* websocket_sessions();
const void* reports();

}  // namespace postern::extension

// What a health check fills in; the host makes it.
struct postern_health_report {
  uint32_t status = 0;  // POSTERN_HEALTHY …
  std::string message;
  std::string details_json;
};
