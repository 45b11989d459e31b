/* postern.records/1 (host): small durable JSON values, kept per plugin in named collections, changed as effects of a delivery.
 *
 * Records have versions. A handler reads with a version and writes with the one it expects; when somebody else has written
 * meanwhile, the host throws the delivery's effects away and runs the handler again, at no cost of attempts. So a
 * read-change-write never loses an update. All writes of a delivery are one transaction, however many records they touch. */
#ifndef POSTERN_EXT_RECORDS_H
#define POSTERN_EXT_RECORDS_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_RECORDS "postern.records/1"
#define POSTERN_RECORD_ABSENT 0u           /* the version of a record that is not there */
#define POSTERN_RECORD_ANY UINT64_MAX      /* write whatever the version is */

/* One record of a page; views live until it returns. Not 0: no further ones. [the caller's thread] */
typedef int32_t (*postern_record_visitor)(void* user, postern_str key, postern_str json, uint64_t version);

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

  /* An effect. Nothing happens to a record that is not there, when POSTERN_RECORD_ABSENT or POSTERN_RECORD_ANY was expected. A record
   * that is made anew later has higher versions than the removed one ever had. */
  postern_status (*remove)(postern_delivery* delivery, postern_str collection, postern_str key, uint64_t expected_version);

  /* A page of the collection as get() would give its records, in the order of the keys' bytes: those whose key begins with `prefix` and
   * comes after `after` (empty: from the first), at most `limit` (0: 100; never over 1000), fewer where they are large. `visit` is called
   * for each before list() returns; it must not use the delivery. A page without any record is the end. */
  postern_status (*list)(postern_delivery* delivery, postern_str collection, postern_str prefix, postern_str after, uint32_t limit,
                         postern_record_visitor visit, void* user);
} postern_ext_records;

#ifdef __cplusplus
}
#endif
#endif
