/* postern.schemes/1 (host): signature schemes as data, which the host runs without plugin code; and as functions, for
 * signatures that no description fits. */
#ifndef POSTERN_EXT_SCHEMES_H
#define POSTERN_EXT_SCHEMES_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_SCHEMES "postern.schemes/1"

enum { POSTERN_HMAC_SHA1 = 1, POSTERN_HMAC_SHA256 = 2, POSTERN_HMAC_SHA512 = 3 };
enum { POSTERN_ENCODING_HEX = 1, POSTERN_ENCODING_BASE64 = 2 };                               /* of signatures */
enum { POSTERN_SECRET_RAW = 1, POSTERN_SECRET_BASE64 = 2, POSTERN_SECRET_WHSEC = 3 };         /* of secrets */
enum { POSTERN_TIME_SECONDS = 1, POSTERN_TIME_MILLISECONDS = 2 };

/* SIZED. How one kind of signature is taken apart and checked.
 *
 * `format` says how the header's value reads: literals and {signature}, {timestamp}. With `separator` the value is a list and
 * each entry is matched alone; entries that fit no alternative are passed over. Alternatives are divided by '|':
 *     "hmac;1;{timestamp};{signature}"              one value
 *     "v1,{signature}" with separator " "           Standard Webhooks: any entry may match
 *     "t={timestamp}|v1={signature}" with ","       Stripe
 * `signed_bytes` says what is signed: literals and {id}, {timestamp} (texts as received) and {body} (exact bytes). */
typedef struct postern_scheme_desc {
  uint32_t struct_size;
  uint32_t algorithm;            /* POSTERN_HMAC_… */
  postern_str name;              /* unique within the plugin: "standard" */
  postern_str header;            /* the header that carries the signature; a request without it is not of this scheme */
  postern_str format;            /* empty: "{signature}" */
  postern_str separator;         /* empty: one value; else exactly one character */
  postern_str timestamp_header;  /* where the format has no {timestamp}; empty: no timestamp there */
  postern_str id_header;         /* what {id} is; needed only where signed_bytes has {id} */
  postern_str signed_bytes;      /* "{timestamp}.{body}" */
  uint32_t signature_encoding;   /* POSTERN_ENCODING_… */
  uint32_t secret_encoding;      /* POSTERN_SECRET_… */
  uint32_t timestamp_unit;       /* POSTERN_TIME_…; 0: seconds */
  uint32_t tolerance_s;          /* seconds into the past and into the future; 0: 300. Without a timestamp: unused */
  const postern_str* secrets;    /* at least one, none empty; any may match (rotation). The first one signs. */
  size_t secrets_len;
} postern_scheme_desc;

typedef struct postern_explain postern_explain;     /* host-owned: what `postern verify` prints; NULL in service */
typedef struct postern_signing postern_signing;     /* host-owned: the headers that sign() adds */

/* SIZED. A scheme that the plugin checks itself, on threads that event handlers never occupy. */
typedef struct postern_scheme_functions {
  uint32_t struct_size, reserved;
  postern_str name;              /* unique within the plugin */
  postern_str header;            /* the header that carries the signature; a request without it is not of this scheme, and
                                  * one that has it twice is refused: the functions see it once */
  const postern_str* secrets;    /* at least one, none empty; any may match (rotation). The first one signs. */
  size_t secrets_len;

  /* [worker] POSTERN_OK: genuine. POSTERN_E_DENIED: not. Anything else: it cannot be told, and the request is answered 503.
   * `now_ms`: Unix milliseconds, to compare timestamps with. Compares in constant time, does no I/O, keeps nothing. With
   * `explain`, tells each step by explain(): what was signed, in length and digest, what was tried, never a secret or the right
   * signature. */
  postern_status (*verify)(postern_instance* self, void* user, const postern_request* request, int64_t now_ms,
                           const postern_str* secrets, size_t secrets_len, postern_explain* explain);

  /* [worker] The reverse, for `postern send`: adds, by add_header(), what the provider would send with this request. NULL:
   * samples of this scheme cannot be sent. */
  postern_status (*sign)(postern_instance* self, void* user, const postern_request* request, int64_t now_ms, postern_str secret,
                         postern_signing* signing);
  void* user;
} postern_scheme_functions;

/* FROZEN. */
typedef struct postern_ext_schemes {
  /* [main] In init. POSTERN_E_INVALID with a reason when the description makes no sense, a function is missing or a secret is
   * unusable. */
  postern_status (*add)(postern_host* host, const postern_scheme_desc* scheme);
  postern_status (*add_functions)(postern_host* host, const postern_scheme_functions* scheme);

  /* [worker] In verify(), with the `explain` given there: one line for a person. Does nothing when it is NULL. */
  void (*explain)(postern_explain* explain, postern_str line);
  /* [worker] In sign(), with the `signing` given there. POSTERN_E_INVALID for a name that is no token or a control character in
   * the value. */
  postern_status (*add_header)(postern_signing* signing, postern_str name, postern_str value);
} postern_ext_schemes;

#ifdef __cplusplus
}
#endif
#endif
