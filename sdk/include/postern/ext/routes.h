/* postern.routes/1 (host): which requests belong to the plugin, and how an event is read from one. */
#ifndef POSTERN_EXT_ROUTES_H
#define POSTERN_EXT_ROUTES_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_ROUTES "postern.routes/1"

enum {
  POSTERN_ROUTE_EVENT = 1, /* acknowledged when the event is durable, handled later */
  POSTERN_ROUTE_REPLY = 2, /* the plugin composes the answer */
  POSTERN_ROUTE_WEBSOCKET = 3 /* likewise, or accepts a session: accept() of postern.websocket. Method GET, without a body */
};
enum {
  POSTERN_ROUTE_UNSIGNED = 1u << 0,  /* the provider signs nothing: no scheme needed */
  POSTERN_ROUTE_UNORDERED = 1u << 1, /* deliveries do not wait for each other, whatever order_key_from says */
  POSTERN_ROUTE_RECORDED = 1u << 2   /* reply routes: the request is an event as well, durable before it is answered */
};

/* EXPRESSIONS say where a value is found: source:name, where source is
 *     json    a JSON pointer into the body        json:/data/object/conversationId
 *     header  a header, by name                   header:webhook-id
 *     path    a parameter of the route's template path:call_id
 *     query   a parameter of the query            query:account
 *     form    a parameter of a form body          form:CallSid
 *     const   the text itself                     const:ping
 * Parts joined by '+' make one value of several; alternatives divided by '|' are tried in order, and the first that is there
 * and not empty is taken:   json:/data/id|header:x-id      header:x-account+json:/id */

/* FROZEN. A route lists its schemes, each with its own way to the event's id. The one whose header a request carries is the
 * only one tried. */
typedef struct postern_route_scheme {
  postern_str scheme;  /* the name given to postern.schemes; or PLUGIN:SCHEME, see below */
  postern_str id_from; /* EXPRESSION; empty, or nothing found: content_from */
} postern_route_scheme;

/* "PLUGIN:SCHEME" ("twilio:twilio") is a scheme that another plugin of the configuration registers: PLUGIN is its name in the YAML, where
 * the order does not matter. It is looked for when all plugins have been initialised, and a configuration in which nobody registers it is
 * refused. Its secrets stay that plugin's. Where it has functions they run in that plugin, on its threads, and a crash in them is its; while it
 * is in quarantine it cannot be told whether a request is genuine, and 503 is the answer. A scheme of the plugin's own that has exactly this
 * name comes first. */

/* [worker] On threads that event handlers never occupy. Compose the answer: send() and return POSTERN_OK, or detach() and return
 * POSTERN_PENDING. Anything else is answered 500, nothing within the route's deadline 504. `request` and `reply` live until the
 * handler returns, detached ones until sent or dropped. */
typedef postern_status (*postern_reply_handler)(postern_instance* self, void* user, const postern_request* request,
                                                postern_reply* reply);

/* SIZED. */
typedef struct postern_route_desc {
  uint32_t struct_size, kind;   /* POSTERN_ROUTE_EVENT, …_REPLY, …_WEBSOCKET */
  postern_str method;           /* "POST" */
  postern_str path;             /* "/api/calls/{call_id}/webhook": whole segments only */
  const postern_route_scheme* schemes; /* none only with POSTERN_ROUTE_UNSIGNED */
  size_t schemes_len;
  postern_str content_types;    /* "application/json, application/x-www-form-urlencoded"; empty: any */
  postern_str type_from;        /* EXPRESSION; the event's type is NAME.<value>, NAME.unknown without one */
  postern_str order_key_from;   /* EXPRESSION; events with equal keys are handled in order of arrival; empty: unordered */
  postern_str required;         /* EXPRESSIONS divided by ','; a request without any of them is answered 422 */
  postern_str unsigned_id_from; /* EXPRESSION; the id where the route has no schemes */
  uint64_t max_body;            /* bytes, at most 100 MiB; 0: the gateway's max_body */
  uint32_t wait_ms;             /* event routes: answer only when handled, or after this long; 0: answer when durable */
  uint32_t flags;               /* POSTERN_ROUTE_… */
  uint32_t deadline_ms;         /* reply and WebSocket routes: 504 after this long; 0: 10 s */
  uint32_t reserved;
  postern_reply_handler reply;  /* reply and WebSocket routes */
  void* user;
  postern_str content_from;     /* EXPRESSION; a request without an id is identified by the SHA-256 of this; empty or nothing
                                   found: of its whole body */
  uint64_t dedupe_window_ms;    /* how long a repeated event is recognised; 0: the gateway's */
} postern_route_desc;

/* SIZED. A request as the provider would send it, for `postern send NAME SAMPLE`. In the body and the header values
 * {{id}} is a fresh random id, {{now}} ISO 8601 UTC, {{unix}} Unix seconds, {{unix_ms}} Unix milliseconds. */
typedef struct postern_sample_desc {
  uint32_t struct_size, reserved;
  postern_str name;            /* "message.received" */
  postern_str method, target;  /* "POST", "/api/v1/webhooks/openphone" */
  postern_str content_type;
  postern_str body;
  const postern_str* headers;  /* name, value, name, value, … */
  size_t headers_len;          /* number of strings: even */
} postern_sample_desc;

/* FROZEN. */
typedef struct postern_ext_routes {
  postern_status (*add)(postern_host* host, const postern_route_desc* route);           /* [main] in init */
  postern_status (*add_sample)(postern_host* host, const postern_sample_desc* sample);  /* [main] in init */
} postern_ext_routes;

#ifdef __cplusplus
}
#endif
#endif
