/* postern.client/1 (host): calls to the outside, with deadlines, retries and a circuit breaker.
 *
 * A request goes to an upstream that was added in init. It ends once, with a response: an answer, or why there is none. The response's
 * verdict is what a handler that needed it should return. Nothing of a request or a response is logged but its method, its URL without
 * the query, and its status. */
#ifndef POSTERN_EXT_CLIENT_H
#define POSTERN_EXT_CLIENT_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_CLIENT "postern.client/1"

enum {
  POSTERN_UPSTREAM_ANY_HOST = 1u,   /* whole URLs may lead to any public host: for URLs from input. There is no breaker then */
  POSTERN_UPSTREAM_ALLOW_HTTP = 2u  /* whole URLs may be http */
};

/* SIZED. Zero is the default of what stands behind it. The operator may set some otherwise (`upstreams:` of the plugin in gateway.yaml). */
typedef struct postern_upstream_desc {
  uint32_t struct_size, flags;
  postern_str name;        /* "api": unique in the plugin; a-z, 0-9, '_', '-', '.'; shown in `postern status` and metrics */
  postern_str base_url;    /* what requests by path go behind: "https://api.example.com/v1"; it may be an inner address. "": none */
  postern_str allow_hosts; /* where whole URLs may lead: "api.example.com, *.example.com, odd.example.com:8443". "": the base URL's
                            * own. Whole URLs reach public addresses only, on the ports 80 and 443 or the one that is named */
  postern_str ca_file;     /* PEM, whom to trust; "": whom the system trusts */
  uint32_t attempts;         /* 3 */
  uint32_t retry_base_ms;    /* 1,000: the first wait; each one is twice the one before, ± 10 % */
  uint32_t retry_cap_ms;     /* 30,000: the longest wait, but for a Retry-After */
  uint32_t breaker_failures; /* 5: attempts in a row without an answer or with 5xx */
  uint32_t breaker_open_ms;  /* 30,000: then one request tries */
  uint32_t connect_ms;       /* 5,000: name, connection, TLS */
  uint32_t attempt_ms;       /* 10,000: one attempt */
  uint32_t deadline_ms;      /* 30,000: a request, all attempts and waits included */
  uint32_t max_in_flight;    /* 16 */
  uint32_t max_waiting;      /* 256: beside those in flight; more is POSTERN_E_LIMIT */
  uint32_t max_redirects;    /* 0: a redirect is the answer. Followed only to the same scheme, host and port */
  uint32_t reserved;
  uint64_t max_response;     /* 1 MiB: bytes of an answer's body; a longer one is cut off */
} postern_upstream_desc;

/* SIZED. Borrowed until the call returns. */
typedef struct postern_client_request {
  uint32_t struct_size;
  uint32_t upstream;            /* as add_upstream() gave it */
  postern_str method;           /* "": GET */
  postern_str url;              /* "/messages?to=1": behind the base URL, without "." or ".." between its slashes; else a whole one,
                                 * which is held to allow_hosts */
  const postern_str* headers;   /* name, value, name, value, … Host, Content-Length and the like are the host's own */
  size_t headers_len;           /* strings, not pairs */
  postern_str body;             /* at most 16 MiB */
  postern_str idempotency_key;  /* sent with every attempt. "": for POST and PATCH one is made, from the delivery and the request where
                                 * there is a delivery: so it is the same when the handler runs again */
  const postern_delivery* delivery; /* on whose behalf: the request ends shortly before its deadline. NULL: nobody's */
  uint32_t deadline_ms;         /* 0: the upstream's */
  uint32_t reserved;
} postern_client_request;

enum {
  POSTERN_RESPONSE_OK = 0,           /* 2xx */
  POSTERN_RESPONSE_REJECTED = 1,     /* 3xx; 4xx but for 408 and 429 */
  POSTERN_RESPONSE_FAILED = 2,       /* 408, 429, 5xx */
  POSTERN_RESPONSE_CONNECT = 3,      /* no address, no connection, no TLS */
  POSTERN_RESPONSE_TIMEOUT = 4,
  POSTERN_RESPONSE_BROKEN = 5,       /* what came broke off, or is no HTTP */
  POSTERN_RESPONSE_TOO_LARGE = 6,
  POSTERN_RESPONSE_REFUSED = 7,      /* not sent: the request is wrong, or leads where it may not */
  POSTERN_RESPONSE_BREAKER_OPEN = 8, /* not sent: the upstream fails every time */
  POSTERN_RESPONSE_BUSY = 9,         /* not sent: too many requests wait already */
  POSTERN_RESPONSE_CANCELLED = 10    /* by cancel(), or since the gateway stops */
};

typedef struct postern_client_response postern_client_response; /* host-owned, until the callback returns */

/* Must not unwind. */
typedef void (*postern_client_callback)(postern_instance* self, void* user, const postern_client_response* response);

/* FROZEN. */
typedef struct postern_ext_client {
  /* [main] In init. POSTERN_E_INVALID: the operator is told what is wrong. */
  postern_status (*add_upstream)(postern_host* host, const postern_upstream_desc* desc, uint32_t* upstream);

  /* [worker] After activate. Waits for the response and gives it to `callback`, once, on this thread, before it returns. Not in
   * verify functions, which have no time for it.
   * POSTERN_E_INVALID: there is no such upstream or the list of headers is odd; POSTERN_E_STATE: not active. Then `callback` is not
   * called. */
  postern_status (*call)(postern_host* host, const postern_client_request* request, postern_client_callback callback, void* user);

  /* [any] After activate. Does not wait: `callback` is called once, on a thread of the host that only serves this plugin's callbacks,
   * perhaps before send() has returned, and at the latest before deactivate. A callback may take 30 s; those behind it wait for it.
   * `request_id` may be NULL. As for call(), and POSTERN_E_LIMIT: too many requests wait already; POSTERN_E_GONE: the gateway stops.
   * Then `callback` is not called. */
  postern_status (*send)(postern_host* host, const postern_client_request* request, postern_client_callback callback, void* user,
                         uint64_t* request_id);

  /* [any] Gives a request of send() up: its callback is still called, soon, with POSTERN_RESPONSE_CANCELLED or what came before. */
  void (*cancel)(postern_host* host, uint64_t request_id);

  /* Views: [any], until the callback returns. */

  /* POSTERN_OK: 2xx. POSTERN_RETRY: trying again later may help. POSTERN_POSTPONE: nothing was tried, since the breaker is open.
   * POSTERN_DEAD: trying again cannot help. What a handler returns that needed the answer, after telling retry_after_ms() to
   * retry_after() of postern.events where that is not 0. */
  postern_status (*verdict)(const postern_client_response* response);
  uint32_t (*kind)(const postern_client_response* response);   /* POSTERN_RESPONSE_OK … */
  uint32_t (*status)(const postern_client_response* response); /* HTTP; 0 without an answer */
  /* The value of the nth header (from 0) of that name, any case. POSTERN_E_NOT_FOUND when there is none. */
  postern_status (*header)(const postern_client_response* response, postern_str name, size_t nth, postern_str* value);
  /* The nth header of all. POSTERN_E_NOT_FOUND after the last one. */
  postern_status (*header_at)(const postern_client_response* response, size_t nth, postern_str* name, postern_str* value);
  postern_str (*body)(const postern_client_response* response);
  postern_str (*error)(const postern_client_response* response); /* for people; "" when all went well. Without secrets */
  uint32_t (*attempts)(const postern_client_response* response); /* that were sent */
  /* When to try again, as the upstream (Retry-After) or, for POSTERN_RESPONSE_BREAKER_OPEN, the breaker says, at most a day; 0: by
   * one's own policy. */
  uint64_t (*retry_after_ms)(const postern_client_response* response);
} postern_ext_client;

#ifdef __cplusplus
}
#endif
#endif
