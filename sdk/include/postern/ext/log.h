/* postern.log/1 (host): lines in the gateway's log, marked with the plugin and the delivery at hand. */
#ifndef POSTERN_EXT_LOG_H
#define POSTERN_EXT_LOG_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_LOG "postern.log/1"

enum { POSTERN_LOG_DEBUG = 1, POSTERN_LOG_INFO = 2, POSTERN_LOG_WARN = 3, POSTERN_LOG_ERROR = 4 };

/* FROZEN. */
typedef struct postern_ext_log {
  /* [any] One line of UTF-8; control characters are escaped. Never give it a secret. */
  void (*write)(postern_host* host, uint32_t level, postern_str text);
} postern_ext_log;

#ifdef __cplusplus
}
#endif
#endif
