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

/* An event that a plugin publishes by itself, outside of any delivery. SIZED. Borrowed until the call returns. */
typedef struct postern_publish_desc {
  uint32_t struct_size;
  uint32_t wait_ms;         /* 0: on_published comes when the event is durable; else when the plugin's own handler has settled it, or so
                             * much after it was durable, at most 3600000 */
  postern_str type;         /* used as given: "voice.call.completed"; one line of UTF-8 of 1 to 200 bytes */
  postern_str body;         /* JSON; with the type at most 4 MiB, as in emit() */
  postern_str order_key;    /* "": unordered. At most 1024 bytes, one line of UTF-8 */
  postern_str external_id;  /* likewise. A second one of this plugin with the same, of whatever type, is a duplicate within the gateway's
                             * `dedupe.window`, and is not stored; "": never a duplicate. Ids of routes are others */
} postern_publish_desc;

/* What came of it. SIZED. Views live until the callback returns. */
typedef struct postern_published {
  uint32_t struct_size;
  postern_status status;  /* POSTERN_OK: the event is durable, now or from before; POSTERN_RETRY: it is not, and may be published again: the
                           * backlog is full, the store is down */
  uint32_t duplicate;     /* it was there before: event_id is the first one's, and nothing is waited for */
  uint32_t settled;       /* the plugin's own handler is done with it in time; `result` is what it set */
  postern_str event_id;   /* "evt_…"; "" without POSTERN_OK */
  postern_str result;     /* JSON; "" where the handler set none */
  postern_str error;      /* why it is not durable, or why nothing is known of its handling; "" otherwise */
} postern_published;

/* On a thread that serves only this plugin's published events. */
typedef void (*postern_publish_callback)(postern_instance* self, void* user, const postern_published* published);

/* One of the YAML's `subscriptions:`. SIZED. Views live until init returns. */
typedef struct postern_subscription {
  uint32_t struct_size, reserved;
  postern_str name, on; /* "office-mail"; the glob of types */
  postern_str with;     /* as with() gives it: JSON, "{}" where the YAML has none */
} postern_subscription;

/* How deliveries are made. SIZED. Zero: as the YAML's `dispatch:` has it. */
typedef struct postern_policy_desc {
  uint32_t struct_size;
  uint32_t deadline_ms; /* of a run of a handler, 30 s: until it has returned, or completed after POSTERN_PENDING. At most 3600000 */
  /* `retry:`, of which the YAML takes all or nothing. */
  uint32_t attempts;       /* 5; at most 100 */
  uint32_t retry_base_ms;  /* 60 s: the first wait; each is longer by the YAML's `retry.factor`, 2 */
  uint32_t retry_cap_ms;   /* 1 h: the longest; not less than the first */
} postern_policy_desc;

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

  /* [any] From activate on, and as long as the plugin's sessions live, also while the gateway stops. Does not wait. The event goes the way
   * of an emitted one: to the plugin's own handlers and to subscriptions; those of one thread are stored in the order of its calls.
   * `on_published` (may be NULL) is called exactly once when this returns POSTERN_OK, before or after that, and else never; what cannot be
   * stored and has no callback is logged. Before the plugin is deactivated it is told of all that it has published; what its handlers have
   * not settled by then is not waited for, and settled later. POSTERN_E_INVALID: the description; POSTERN_E_STATE: before activate;
   * POSTERN_E_LIMIT: the body is too large, or 10000 callbacks are outstanding; POSTERN_E_GONE: the plugin is about to be deactivated. */
  postern_status (*publish)(postern_host* host, const postern_publish_desc* desc, postern_publish_callback on_published, void* user);

  /* [main] In init. The plugin's own subscription, without a line in the YAML: events of any provider whose whole type matches, those of
   * the gateway ("postern.delivery.dead") too. Each is a subscriber of its own, with deliveries, order and a breaker of its own under `name`,
   * which is 1 to 256 visible ASCII characters, not "handlers", and no other subscription's of this plugin. */
  postern_status (*subscribe)(postern_host* host, postern_str name, postern_str type_glob, postern_event_handler handler, void* user);

  /* [main] In init. The YAML's `subscriptions:` that name this plugin, from 0 on in the order of the file, so that their `with:` is looked
   * at before the first event comes. POSTERN_E_NOT_FOUND: there are not so many. */
  postern_status (*subscription)(postern_host* host, size_t number, postern_subscription* out);

  /* [main] In init. Something is wrong in that subscription's `with:`; otherwise as config_fault() of postern_host_api. */
  postern_status (*subscription_fault)(postern_host* host, size_t number, postern_str pointer, postern_str text);

  /* [main] In init. What fits this plugin's deliveries where its entry in the YAML, or the subscription's, says nothing of it. */
  postern_status (*default_policy)(postern_host* host, const postern_policy_desc* policy);
} postern_ext_events;

#ifdef __cplusplus
}
#endif
#endif
