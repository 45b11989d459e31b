/* postern.timers/1 (host): something that shall happen later.
 *
 * A durable timer becomes an event of this plugin when it is due, exactly once, whatever crashes before or after that; the event goes
 * to the plugin's handlers and to subscriptions as an emitted one does, in order, with retries. Timers are set and removed as effects
 * of a delivery: with its outcome, or not at all. One that comes due while the gateway is down fires at its start.
 *
 * A timer in memory runs a callback and is lost with the process.
 *
 * While the gateway runs it measures time by a clock that nobody can set: a system clock that jumps by a day makes no timer fire early
 * or late. The moment at which a durable timer is due is kept in Unix time, so a restart after such a jump goes by what the clock says
 * then: what is due by it fires, and no timer waits longer than its whole delay again. */
#ifndef POSTERN_EXT_TIMERS_H
#define POSTERN_EXT_TIMERS_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_TIMERS "postern.timers/1"

enum {
  POSTERN_TIMER_UNORDERED = 1u /* its event has no order key */
};

/* SIZED. A durable timer. Borrowed until the call returns. */
typedef struct postern_timer_desc {
  uint32_t struct_size, flags;
  postern_str name;      /* "reminder/order-17": unique in the plugin, 1 to 1024 bytes without NUL; the event's external_id */
  postern_str type;      /* of the event, one that declare() has named; used as given */
  postern_str body;      /* the event's: any bytes, at most 64 KiB */
  postern_str order_key; /* at most 1024 bytes; "": that of the delivery which sets it */
  int64_t delay_ms;      /* from the commit on: 0 to ten years. The event of a timer shorter than a second is one step deeper than the
                          * delivery's own, as an emitted one is, and such steps are bounded; a longer one begins anew */
} postern_timer_desc;

/* [worker] On a thread that serves only this plugin's timers. A negative status is logged, with what set_error says. A callback that does
 * not come back within 30 s is counted as stuck and another thread takes its place. */
typedef postern_status (*postern_timer_callback)(postern_instance* self, void* user);

/* FROZEN. */
typedef struct postern_ext_timers {
  /* [main] In init. Events of durable timers may have this type: 1 to 200 bytes, no '*'. POSTERN_E_LIMIT beyond 100 types. */
  postern_status (*declare)(postern_host* host, postern_str type);

  /* Effects: [worker] in a handler; after POSTERN_PENDING [any], one thread at a time, until complete(). */

  /* Sets a durable timer. It replaces the plugin's one of that name, which then never fires. POSTERN_E_INVALID leaves
   * what is wrong as this thread's error text; POSTERN_E_LIMIT beyond the bounds of one delivery. A plugin has at most 100,000: a
   * delivery that would make more is a failed attempt, with that reason, and is retried. */
  postern_status (*set)(postern_host* host, postern_delivery* delivery, const postern_timer_desc* timer);

  /* Removes a durable timer. Nothing happens when there is none: it may be an event by now, whose handler then still runs. */
  postern_status (*remove)(postern_delivery* delivery, postern_str name);

  /* Timers in memory. */

  /* [any] From activate on. Runs `callback` once, in `delay_ms` milliseconds (0 to ten years); it may start the next one. `timer` may be
   * NULL. POSTERN_E_STATE: not active yet; POSTERN_E_GONE: no longer; POSTERN_E_LIMIT beyond 10,000 of the plugin. When the plugin is
   * deactivated, those that wait are forgotten. */
  postern_status (*start)(postern_host* host, int64_t delay_ms, postern_timer_callback callback, void* user, uint64_t* timer);

  /* [any] POSTERN_OK: its callback will not run. POSTERN_E_NOT_FOUND: it has begun to, or there is no such timer. */
  postern_status (*cancel)(postern_host* host, uint64_t timer);
} postern_ext_timers;

#ifdef __cplusplus
}
#endif
#endif
