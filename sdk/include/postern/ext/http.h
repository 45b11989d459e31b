/* postern.http/1 (host): views of an HTTP request, exactly as it was received and verified; and the answers of reply routes. */
#ifndef POSTERN_EXT_HTTP_H
#define POSTERN_EXT_HTTP_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_HTTP "postern.http/1"

/* FROZEN. Views: [any], as long as the request's view lives. */
typedef struct postern_ext_http {
  postern_str (*method)(const postern_request* request);
  postern_str (*target)(const postern_request* request); /* raw, undecoded: "/a%20b?c=d" */
  postern_str (*body)(const postern_request* request);   /* exact bytes */
  postern_str (*remote)(const postern_request* request); /* address of the client: "192.0.2.1" */

  /* The value of the nth header (from 0) of that name, any case, as received. POSTERN_E_NOT_FOUND when there is none. */
  postern_status (*header)(const postern_request* request, postern_str name, size_t nth, postern_str* value);

  /* A parameter of the route's path template, decoded: "call_id". POSTERN_E_NOT_FOUND when there is none, and for a delivery's
   * request. */
  postern_status (*path_parameter)(const postern_request* request, postern_str name, postern_str* value);

  /* The nth parameter (from 0) of a body of application/x-www-form-urlencoded, decoded (URL Standard, 5.1: '+' is a blank, a '%'
   * without two hex digits stands for itself), in the order of the body; not checked to be UTF-8. POSTERN_E_NOT_FOUND after the
   * last one, and for a body of another content type. */
  postern_status (*form_parameter)(const postern_request* request, size_t nth, postern_str* name, postern_str* value);

  /* The URLs by which the provider may have called, the likeliest first, nth from 0: gateway.public_url with the raw target
   * behind it, and no other; where that is not set, scheme, host and port as a trusted proxy forwarded them, with the raw target.
   * Never what an untrusted client claims. Only in scheme functions and reply handlers; POSTERN_E_NOT_FOUND after the last one. */
  postern_status (*url)(const postern_request* request, size_t nth, postern_str* url);

  /* [any] From init on. gateway.public_url without a '/' at its end; empty when it is not set. */
  postern_str (*public_url)(postern_host* host);

  /* [any] From init on. 1 when gateway.trusted_proxies names any, so that url() can know more than public_url. */
  uint32_t (*trusts_proxies)(postern_host* host);

  /* [worker] in the reply handler, [any] after detach(). Gives the answer, and ends the reply. `headers` are name, value, name,
   * value, …; `headers_len` counts strings. The host frames the message: Content-Length and the like are its own.
   * POSTERN_E_INVALID for a status outside 200 to 599 or a broken list (an odd number, a name that is no token, a control
   * character in a value), POSTERN_E_LIMIT for over 4 MiB of headers and body: neither ends the reply. POSTERN_E_GONE when it
   * came too late, after the deadline or after deactivation: it ends the reply. */
  postern_status (*send)(postern_reply* reply, uint32_t status, const postern_str* headers, size_t headers_len, postern_str body);

  /* [worker] The reply outlives the handler, which must then return POSTERN_PENDING; no thread is held meanwhile. The same
   * handle must be sent or dropped in the end, from any thread, however late. Not detached by POSTERN_E_LIMIT, when too many are
   * out already: answer now, or fail; nor by POSTERN_E_GONE, when the deadline is past. */
  postern_status (*detach)(postern_reply* reply);

  /* [any] Gives a detached reply up: the client is answered 500. */
  void (*drop)(postern_reply* reply);
} postern_ext_http;

#ifdef __cplusplus
}
#endif
#endif
