/* postern.events/1 (host): durable events, handled with their effects exactly once.
 *
 * A delivery is one event on its way to one handler. What a handler does through its delivery (emit, records, result) is
 * an effect: the host commits all of them in the same transaction that settles the delivery, or none. Calls to the outside can
 * repeat after a crash; give them the idempotency key. */
#ifndef POSTERN_EXT_EVENTS_H
#define POSTERN_EXT_EVENTS_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_EVENTS "postern.events/1"

/* [worker] POSTERN_OK: done. POSTERN_PENDING: complete() will be called later, from any thread; no thread is held meanwhile.
 * POSTERN_RETRY or a negative status: deliver again by the retry policy (set_error says why). POSTERN_DEAD: never again.
 * POSTERN_POSTPONE: what the handler needs is known to be down (an upstream's breaker is open), so it was not tried: deliver again when
 * retry_after() says, else after the policy's first wait. No attempt is counted, no breaker hears of it; the delivery keeps its place among
 * those of its order key, and is shown with the reason of set_error. A wait lasts 1 s at least, doubling to 64 s while it is put off again
 * and again, and at most as long as the policy's `cap`. When an event has been here for longer than the policy's `postpone_for` (3
 * days), it counts as POSTERN_RETRY. */
typedef postern_status (*postern_event_handler)(postern_instance* self, void* user, postern_delivery* delivery);

/* FROZEN. */
typedef struct postern_ext_events {
  /* [main] In init. `type_glob` is matched against the event's type, with or without the plugin's "NAME." before it; '*' stands
   * for any text. The first glob of the plugin that matches takes the event: an event has at most one delivery to a
   * plugin's own handlers. */
  postern_status (*on)(postern_host* host, postern_str type_glob, postern_event_handler handler, void* user);

  /* [main] In init. Takes the deliveries of `subscriptions:` in the YAML that name this plugin. */
  postern_status (*on_subscription)(postern_host* host, postern_event_handler handler, void* user);

  /* Views: [worker] in the handler; after POSTERN_PENDING [any] until complete() returns. */
  postern_str (*id)(const postern_delivery* delivery);              /* "evt_…" */
  postern_str (*type)(const postern_delivery* delivery);            /* "openphone.message.received" */
  postern_str (*provider)(const postern_delivery* delivery);        /* the plugin whose route took the event */
  postern_str (*external_id)(const postern_delivery* delivery);     /* the id as the provider gave it */
  postern_str (*order_key)(const postern_delivery* delivery);
  int64_t (*received_at)(const postern_delivery* delivery);         /* Unix milliseconds */
  uint32_t (*attempt)(const postern_delivery* delivery);            /* 1, 2, … */
  postern_str (*idempotency_key)(const postern_delivery* delivery); /* the same at every attempt: "dlv_…" */
  postern_str (*with)(const postern_delivery* delivery);            /* a subscription's `with:` as JSON; else "" */
  const postern_request* (*request)(const postern_delivery* delivery); /* read it with postern.http */

  /* Effects: [worker] in the handler, then after POSTERN_PENDING [any], one thread at a time, until complete(). All strings are
   * copied. POSTERN_E_LIMIT when the effects of one delivery grow beyond the host's bound. */

  /* A follow-on event of this plugin. It inherits the order key; `type` is used as given ("voice.call.completed"). */
  postern_status (*emit)(postern_delivery* delivery, postern_str type, postern_str body_json);

  /* What a waiting acknowledgement answers as `result`; JSON. */
  postern_status (*set_result)(postern_delivery* delivery, postern_str json);

  /* [any] Once, for a handler that returns POSTERN_PENDING; it may come from another thread before the handler has returned.
   * `outcome` as a handler returns it, but not POSTERN_PENDING; `why` explains a failure.
   * POSTERN_E_GONE when it comes too late; the handle is freed by this call in any case, so it is the last one on it. */
  postern_status (*complete)(postern_delivery* delivery, postern_status outcome, postern_str why);

  /* The next run shall not come before `ms` milliseconds from now, a Retry-After for example. With POSTERN_RETRY it comes then or when the
   * policy says, whichever is later: nobody outside can burn the attempts by asking for haste. With POSTERN_POSTPONE it comes then. In
   * either case a wish beyond the policy's `cap` counts as `cap`. */
  postern_status (*retry_after)(postern_delivery* delivery, uint64_t ms);

  /* [main] In init. When a delivery of an event of this type dies, somebody must hear of it: the host makes an event
   * "postern.delivery.dead" of it, for whoever subscribes to that. `type_glob` as in on(). The operator may say otherwise. */
  postern_status (*critical)(postern_host* host, postern_str type_glob);
} postern_ext_events;

#ifdef __cplusplus
}
#endif
#endif
