/* postern.health/1 (host): what /api/health/ says of the plugin. */
#ifndef POSTERN_EXT_HEALTH_H
#define POSTERN_EXT_HEALTH_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_HEALTH "postern.health/1"

enum { POSTERN_HEALTHY = 1, POSTERN_CONFIGURED = 2, POSTERN_DEGRADED = 3, POSTERN_UNHEALTHY = 4 };

typedef struct postern_health_report postern_health_report; /* host-owned, for the time of one check */

/* [worker] Fills in `report`. A failing status is shown as unhealthy, with the text of set_error. */
typedef postern_status (*postern_health_check)(postern_instance* self, void* user, postern_health_report* report);

/* FROZEN. */
typedef struct postern_ext_health {
  /* [main] In init. `name` is the key in the answer ("openphone"); `interval_ms` 0: 30 s. */
  postern_status (*add)(postern_host* host, postern_str name, uint32_t interval_ms, postern_health_check check, void* user);

  /* [worker] In the check. `details_json` is an object, shown only to those who may see details; may be empty. */
  postern_status (*report)(postern_health_report* report, uint32_t status, postern_str message, postern_str details_json);
} postern_ext_health;

#ifdef __cplusplus
}
#endif
#endif
