/* postern.records/1 (host): small durable JSON values, kept per plugin in named collections, changed as effects of a delivery.
 *
 * Records have versions. A handler reads with a version and writes with the one it expects; when somebody else has written
 * meanwhile, the host throws the delivery's effects away and runs the handler again, at no cost of attempts. So a
 * read-change-write never loses an update. */
#ifndef POSTERN_EXT_RECORDS_H
#define POSTERN_EXT_RECORDS_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_RECORDS "postern.records/1"
#define POSTERN_RECORD_ABSENT 0u           /* the version of a record that is not there */
#define POSTERN_RECORD_ANY UINT64_MAX      /* write whatever the version is */

/* FROZEN. [worker] in a handler; after POSTERN_PENDING [any], one thread at a time, until complete(). */
typedef struct postern_ext_records {
  /* The committed value, or this delivery's own earlier put, with the version that it will make (POSTERN_RECORD_ANY after a put
   * with that), so that a second put may follow. `json` borrows until the next call on this delivery.
   * POSTERN_E_NOT_FOUND, with *version = POSTERN_RECORD_ABSENT, when there is none. */
  postern_status (*get)(postern_delivery* delivery, postern_str collection, postern_str key, postern_str* json,
                        uint64_t* version);

  /* An effect. `expected_version` is what get() gave; POSTERN_RECORD_ABSENT: must not exist yet. */
  postern_status (*put)(postern_delivery* delivery, postern_str collection, postern_str key, postern_str json,
                        uint64_t expected_version);
} postern_ext_records;

#ifdef __cplusplus
}
#endif
#endif
