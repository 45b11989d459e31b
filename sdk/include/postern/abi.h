/* postern/abi.h - the boundary between the gateway and a plugin. C11, no dependencies.
 *
 * RULES      1 Until 1.0 anything here may change; from then on released names, layouts, values and meanings never do.
 *            2 A struct marked SIZED grows only at its tail: the receiver copies min(theirs, mine) bytes and zero-fills the
 *              rest, and a zero field means the host's default. A struct marked FROZEN never changes.
 *            3 Everything beyond this file is reached by get_extension("postern.<name>/<revision>"); one header each in ext/.
 *            4 No exception, longjmp, FILE*, malloc'ed block or C++ type crosses the line.
 * OWNERSHIP  A postern_str borrows. In arguments it lives until the call returns; in request and event views until the
 *            handler returns, or, for a pending delivery or a detached reply, until it is completed, sent or dropped. Whoever
 *            made a handle frees it.
 * THREADS    [main] the host's control thread, one call at a time   [worker] any pool thread, several at once
 *            [any] every thread, at any time between init and destroy
 */
#ifndef POSTERN_ABI_H
#define POSTERN_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_ABI_MAJOR 1u
#define POSTERN_ABI_MINOR 0u
#define POSTERN_EXPORT __attribute__((visibility("default")))

/* FROZEN. Bytes, UTF-8 where text is meant; not NUL-terminated. {NULL, 0} is the empty string. */
typedef struct postern_str {
  const char* ptr;
  size_t len;
} postern_str;

/* 0 ok, > 0 flow, < 0 failure. */
typedef int32_t postern_status;
enum {
  POSTERN_OK = 0,
  POSTERN_PENDING = 1,       /* the answer comes later, by a call */
  POSTERN_RETRY = 2,         /* handlers: failed for now, deliver again by the retry policy */
  POSTERN_DEAD = 3,          /* handlers: can never succeed, do not deliver again */
  POSTERN_POSTPONE = 4,      /* handlers: could not be tried now, deliver again later; no attempt is counted */
  POSTERN_E_INVALID = -1,    /* an argument or a value is wrong */
  POSTERN_E_UNSUPPORTED = -2,
  POSTERN_E_STATE = -3,      /* not now: wrong phase of life */
  POSTERN_E_TIMEOUT = -4,
  POSTERN_E_LIMIT = -5,      /* a bound of the host would be passed */
  POSTERN_E_GONE = -6,       /* too late: completed, past its deadline, or deactivated */
  POSTERN_E_DENIED = -7,
  POSTERN_E_INTERNAL = -8,
  POSTERN_E_NOT_FOUND = -9
};

typedef struct postern_host postern_host;         /* host-owned; one per plugin instance: who we are to the host */
typedef struct postern_instance postern_instance; /* plugin-owned */
typedef struct postern_request postern_request;   /* host-owned view of an HTTP request */
typedef struct postern_delivery postern_delivery; /* host-owned: one event on its way to one handler */
typedef struct postern_reply postern_reply;       /* host-owned: the promise of one answer; used once */

/* SIZED. What every plugin may ask of the host. */
typedef struct postern_host_api {
  uint32_t struct_size, abi_major, abi_minor, reserved;
  postern_str name, version; /* "postern", "0.1.0" */

  /* [any] The function table of an extension, valid until destroy; NULL where this host has none of that id. */
  const void* (*get_extension)(postern_host* host, postern_str id);

  /* [any] Says why this thread's next negative status, or a handler's POSTERN_RETRY, POSTERN_POSTPONE or POSTERN_DEAD, is one; shown
   * to the operator. */
  void (*set_error)(postern_host* host, postern_str text);

  /* [main] During init: something is wrong in the plugin's `config:`. `pointer` is the place as a JSON pointer
   * ("/webhook_secrets/0"), which the host turns into file:line:column. All faults are shown together; init should go on to find
   * the others, and the host refuses the configuration after it. */
  void (*config_fault)(postern_host* host, postern_str pointer, postern_str text);

  /* [any] From init on: what the YAML calls this plugin, "openphone" or "second_line"; valid until destroy. Its events have it as provider. */
  postern_str (*plugin_name)(postern_host* host);
} postern_host_api;

/* SIZED. The life of an instance: create, init, activate, deactivate, destroy. */
typedef struct postern_plugin {
  uint32_t struct_size, reserved;

  /* [main] Reads `config:` (as JSON, secrets filled in) and registers with the extensions; no I/O, no threads. */
  postern_status (*init)(postern_instance* self, postern_str config_json);

  /* [main] May start work; traffic comes after POSTERN_OK. */
  postern_status (*activate)(postern_instance* self);

  /* [main] The host has stopped new calls; finish within drain_ms milliseconds. */
  void (*deactivate)(postern_instance* self, uint32_t drain_ms);

  /* [main] After deactivate, or after an init that failed. Frees the instance. */
  void (*destroy)(postern_instance* self);

  /* [any] From init on: what the plugin offers to the host; may be NULL. */
  const void* (*get_extension)(postern_instance* self, postern_str id);
} postern_plugin;

/* SIZED. The only symbol that a plugin exports, a plain datum: the host reads it before it calls anything. */
typedef struct postern_plugin_entry {
  uint32_t struct_size, abi_major, abi_minor, flags;
  postern_str id, version, build_id; /* "openphone", "0.1.0", a commit or hash */
  const postern_str* requires_ext;   /* extensions without which the plugin cannot work, checked before create */
  size_t requires_len;

  /* [main] Makes an instance; calls nothing of the host. `api` and `host` stay valid until destroy. */
  postern_status (*create)(const postern_host_api* api, postern_host* host, const postern_plugin** plugin,
                           postern_instance** instance);
} postern_plugin_entry;

extern POSTERN_EXPORT const postern_plugin_entry postern_entry;

#ifdef __cplusplus
}
#endif
#endif
