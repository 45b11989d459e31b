/* postern.reports/1 (host): what has come within a time and what has become of it, counted for people: a daily mail, a screen. */
#ifndef POSTERN_EXT_REPORTS_H
#define POSTERN_EXT_REPORTS_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_REPORTS "postern.reports/1"

/* Of one provider. SIZED. Views live until the call that tells of it returns. */
typedef struct postern_provider_report {
  uint32_t struct_size, reserved;
  postern_str provider; /* the plugin whose events they are; "postern": the gateway's own */
  uint64_t received;    /* events */
  uint64_t done, dead;  /* their deliveries, as they stand now */
  uint64_t waiting;     /* likewise: not settled yet */
  uint64_t slowest_ms;  /* of those that are done: from the event's arrival to its handling; 0 without one */
  postern_str slowest_event, slowest_type; /* "evt_…", "openphone.message.received" */
} postern_provider_report;

/* Must not unwind. */
typedef void (*postern_provider_callback)(void* user, const postern_provider_report* report);

/* FROZEN. */
typedef struct postern_ext_reports {
  /* [worker], or a thread of the plugin's own, from activate on. Of the events that came from `from_ms` on and before `to_ms` (Unix
   * milliseconds) and are still stored: calls `tell` for each provider, in alphabetical order, within this call. It reads all of them:
   * about a second for a million. POSTERN_E_STATE: before activate; POSTERN_E_INTERNAL: the store cannot be read, see set_error's text. */
  postern_status (*by_provider)(postern_host* host, int64_t from_ms, int64_t to_ms, postern_provider_callback tell, void* user);
} postern_ext_reports;

#ifdef __cplusplus
}
#endif
#endif
