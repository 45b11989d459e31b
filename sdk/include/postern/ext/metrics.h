/* postern.metrics/1 (host): counters, gauges and histograms of the plugin, on the gateway's /metrics.
 *
 * A metric NAME of the plugin that the YAML calls PLUGIN is shown as postern_plugin_PLUGIN_NAME. All its series are named in init, so that
 * nothing that comes in can make another one. A count is an atomic addition: no lock, no memory, fit for the busiest code. */
#ifndef POSTERN_EXT_METRICS_H
#define POSTERN_EXT_METRICS_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_METRICS "postern.metrics/1"

enum {
  POSTERN_METRIC_COUNTER = 1,  /* only grows; its name ends in "_total" */
  POSTERN_METRIC_GAUGE = 2,    /* goes up and down */
  POSTERN_METRIC_HISTOGRAM = 3 /* how often values fell into each bucket, and their sum */
};

typedef struct postern_metric postern_metric; /* host-owned; valid until destroy */

/* SIZED. Names are of a-z, 0-9 and _, begin with a letter and have at most 60 bytes. */
typedef struct postern_metric_desc {
  uint32_t struct_size, kind; /* POSTERN_METRIC_… */
  postern_str name;           /* "messages_total", "lookup_seconds": with its unit; "_bucket", "_sum", "_count" are the host's */
  postern_str help;           /* one sentence for people; required, at most 200 bytes */
  const postern_str* labels;  /* names of its labels, at most 4; none: the metric has one series */
  size_t labels_len;
  const postern_str* values;  /* series_len rows of labels_len values each, no row twice: "ok", "refused", … UTF-8, at most 100 bytes.
                                 From the plugin's code or configuration, never from input, and never a secret. */
  size_t series_len;
  const double* buckets;      /* histograms: the buckets' upper ends, ascending, at most 30; none: 1 ms to 10 s */
  size_t buckets_len;
} postern_metric_desc;

/* FROZEN. */
typedef struct postern_ext_metrics {
  /* [main] In init. All strings are copied. POSTERN_E_LIMIT beyond 100 metrics or 1000 series of the plugin; POSTERN_E_INVALID for what
   * is not as described above, or a name that is taken. */
  postern_status (*add)(postern_host* host, const postern_metric_desc* desc, postern_metric** metric);

  /* [any] `series`: which row of `values`; 0 where the metric has no labels. POSTERN_E_INVALID, and nothing happens, for a series that
   * is not there, another kind of metric, or a value that is not finite. */
  postern_status (*count)(postern_metric* metric, size_t series, uint64_t by); /* counters */
  postern_status (*set)(postern_metric* metric, size_t series, double value);  /* gauges */
  postern_status (*change)(postern_metric* metric, size_t series, double by);  /* gauges: up, or down by a negative value */
  postern_status (*observe)(postern_metric* metric, size_t series, double value); /* histograms */
} postern_ext_metrics;

#ifdef __cplusplus
}
#endif
#endif
