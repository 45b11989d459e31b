/* postern.services/1 (host): what plugins do for one another, as bytes through the host.
 *
 * A plugin publishes a service by a name, "mail/1"; another one acquires it by that name and calls it, whatever their order in the YAML.
 * Nobody gets a pointer of the other: requests and answers are copied by the host. What the bytes mean is between the two; who changes it
 * in a way that old callers do not understand publishes another revision ("mail/2", beside "mail/1").
 *
 * A call runs on the caller's thread and ends when the service's function returns. It can be run twice, as the handler that makes it: give
 * the service what it needs to know it again, such as the delivery's idempotency key. */
#ifndef POSTERN_EXT_SERVICES_H
#define POSTERN_EXT_SERVICES_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_SERVICES "postern.services/1"
#define POSTERN_SERVICE_MAX_BYTES 1048576u /* of a request, and of an answer */
#define POSTERN_SERVICE_MAX_DEPTH 8u       /* calls within calls on one thread */

typedef struct postern_service_call postern_service_call; /* host-owned: one call in its service's function, until that returns */

/* [any] On the caller's thread, several at once, while the plugin is active. Looks at `call`, answers it, and returns POSTERN_OK. What
 * else it returns is what the caller gets, with the text of set_error, which must not carry a secret: POSTERN_RETRY (trying again later may
 * help), POSTERN_DEAD (it cannot), or a negative status. Without an answer() the answer is empty. It calls no other service while it holds
 * a lock for which that might come back. */
typedef postern_status (*postern_service_function)(postern_instance* self, void* user, postern_service_call* call);

enum {
  POSTERN_SERVICE_OPTIONAL = 1u /* the plugin can do without it. Else a configuration where nobody publishes it is refused */
};

/* SIZED. Borrowed until the call returns. */
typedef struct postern_service_request {
  uint32_t struct_size;
  uint32_t service;    /* as acquire() gave it */
  postern_str method;  /* what is asked of it: "send"; 1 to 64 bytes of a-z, A-Z, 0-9, '_', '-', '.' */
  postern_str body;    /* any bytes, at most POSTERN_SERVICE_MAX_BYTES */
  const postern_delivery* delivery; /* on whose behalf: the call should end shortly before its deadline. NULL: nobody's */
  uint32_t deadline_ms; /* 0: 10,000. Never later than that of the call within which it is made */
  uint32_t reserved;
} postern_service_request;

/* SIZED. What came of a call. Its views live until the callback returns. */
typedef struct postern_service_answer {
  uint32_t struct_size;
  postern_status status;   /* as call() will return it */
  postern_str body;        /* POSTERN_OK: what the service answered; else "" */
  postern_str error;       /* else: why, for people; without secrets */
  uint64_t retry_after_ms; /* POSTERN_RETRY: when to try again, at most a day; 0: by one's own policy */
} postern_service_answer;

/* Must not unwind. */
typedef void (*postern_service_callback)(postern_instance* self, void* user, const postern_service_answer* answer);

/* FROZEN. */
typedef struct postern_ext_services {
  /* [main] In init. `name` is NAME/REVISION, "mail/1": the name of a-z, 0-9, '_', '-', '.', beginning with a letter, the revision a number
   * from 1, both together at most 64 bytes. One plugin of a configuration publishes it, under at most 100 names. It is callable from
   * activate on. */
  postern_status (*publish)(postern_host* host, postern_str name, postern_service_function function, void* user);

  /* [main] In init. `*service` is the number to call it by; the same name gives the same number. Who publishes it is looked for when all
   * plugins have been initialised; services may need one another. `flags`: POSTERN_SERVICE_OPTIONAL. At most 100. */
  postern_status (*acquire)(postern_host* host, postern_str name, uint32_t flags, uint32_t* service);

  /* [any] From activate on. Not 0: some plugin publishes it. */
  int32_t (*available)(postern_host* host, uint32_t service);

  /* [worker] After activate. Waits until the service has answered, and gives what came of it to `on_answer`, on this thread, before it
   * returns the same status. Not in verify functions, which have no time for it. The host cannot interrupt a service: past the deadline
   * none begins any more, a postern.client call of one that runs ends, and an answer that comes later is an answer still.
   *
   * POSTERN_OK, or what the service returned. By the host itself: POSTERN_E_INVALID (the request is not as described above, or there is no
   * such number), POSTERN_E_LIMIT (the request or the answer is too large, or calls are in one another too deep), POSTERN_E_STATE (one of
   * the plugins is not active yet), POSTERN_E_GONE (one of them has been deactivated), POSTERN_E_NOT_FOUND (optional, and nobody publishes
   * it), POSTERN_E_TIMEOUT (no time is left to begin), POSTERN_E_INTERNAL (it failed without saying how; the log may know). When memory
   * runs out or there is no callback, the status is all. */
  postern_status (*call)(postern_host* host, const postern_service_request* request, postern_service_callback on_answer, void* user);

  /* In a service's function, on its thread, until it returns; later they are POSTERN_E_GONE, empty and 0. */
  postern_str (*method)(const postern_service_call* call);
  postern_str (*request)(const postern_service_call* call);
  postern_str (*caller)(const postern_service_call* call);       /* the plugin that calls, by its name in the YAML */
  uint64_t (*remaining_ms)(const postern_service_call* call);    /* until the deadline; 0: it has passed */
  postern_status (*answer)(postern_service_call* call, postern_str bytes); /* copied; the last one counts. POSTERN_E_LIMIT: too large */
  postern_status (*retry_after)(postern_service_call* call, uint64_t ms);  /* takes effect with a POSTERN_RETRY */
} postern_ext_services;

#ifdef __cplusplus
}
#endif
#endif
