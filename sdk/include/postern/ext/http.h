/* postern.http/1 (host): views of an HTTP request, exactly as it was received and verified. */
#ifndef POSTERN_EXT_HTTP_H
#define POSTERN_EXT_HTTP_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_HTTP "postern.http/1"

/* FROZEN. [any], as long as the request's view lives. */
typedef struct postern_ext_http {
  postern_str (*method)(const postern_request* request);
  postern_str (*target)(const postern_request* request); /* raw, undecoded: "/a%20b?c=d" */
  postern_str (*body)(const postern_request* request);   /* exact bytes */
  postern_str (*remote)(const postern_request* request); /* address of the client: "192.0.2.1" */

  /* The value of the nth header (from 0) of that name, any case, as received. POSTERN_E_NOT_FOUND when there is none. */
  postern_status (*header)(const postern_request* request, postern_str name, size_t nth, postern_str* value);
} postern_ext_http;

#ifdef __cplusplus
}
#endif
#endif
