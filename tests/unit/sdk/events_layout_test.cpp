// Golden layouts of postern.events and postern.reports: see layout_test.cpp.
#include <gtest/gtest.h>

#include "postern/ext/events.h"
#include "postern/ext/reports.h"
#include "tests/unit/sdk/layout.h"

#if defined(__x86_64__) || defined(__aarch64__)

// NOLINTBEGIN: one line a fact
SIZE(postern_publish_desc, 72);
AT(postern_publish_desc, struct_size, 0);
AT(postern_publish_desc, wait_ms, 4);
AT(postern_publish_desc, type, 8);
AT(postern_publish_desc, body, 24);
AT(postern_publish_desc, order_key, 40);
AT(postern_publish_desc, external_id, 56);

SIZE(postern_published, 64);
AT(postern_published, struct_size, 0);
AT(postern_published, status, 4);
AT(postern_published, duplicate, 8);
AT(postern_published, settled, 12);
AT(postern_published, event_id, 16);
AT(postern_published, result, 32);
AT(postern_published, error, 48);
static_assert(std::is_same_v<postern_publish_callback, void (*)(postern_instance*, void*, const postern_published*)>);

static_assert(std::is_same_v<postern_event_handler, postern_status (*)(postern_instance*, void*, postern_delivery*)>);
SIZE(postern_ext_events, 176);
AT(postern_ext_events, on, 0);
AT(postern_ext_events, on_subscription, 8);
AT(postern_ext_events, id, 16);
AT(postern_ext_events, type, 24);
AT(postern_ext_events, provider, 32);
AT(postern_ext_events, external_id, 40);
AT(postern_ext_events, order_key, 48);
AT(postern_ext_events, received_at, 56);
AT(postern_ext_events, attempt, 64);
AT(postern_ext_events, idempotency_key, 72);
AT(postern_ext_events, with, 80);
AT(postern_ext_events, request, 88);
AT(postern_ext_events, emit, 96);
AT(postern_ext_events, set_result, 104);
AT(postern_ext_events, complete, 112);
AT(postern_ext_events, retry_after, 120);
AT(postern_ext_events, critical, 128);
AT(postern_ext_events, publish, 136);
AT(postern_ext_events, subscribe, 144);
AT(postern_ext_events, subscription, 152);
AT(postern_ext_events, subscription_fault, 160);
AT(postern_ext_events, default_policy, 168);
IS(postern_ext_events, on, postern_status (*)(postern_host*, postern_str, postern_event_handler, void*));
IS(postern_ext_events, on_subscription, postern_status (*)(postern_host*, postern_event_handler, void*));
IS(postern_ext_events, id, postern_str (*)(const postern_delivery*));
IS(postern_ext_events, type, postern_str (*)(const postern_delivery*));
IS(postern_ext_events, provider, postern_str (*)(const postern_delivery*));
IS(postern_ext_events, external_id, postern_str (*)(const postern_delivery*));
IS(postern_ext_events, order_key, postern_str (*)(const postern_delivery*));
IS(postern_ext_events, received_at, int64_t (*)(const postern_delivery*));
IS(postern_ext_events, attempt, uint32_t (*)(const postern_delivery*));
IS(postern_ext_events, idempotency_key, postern_str (*)(const postern_delivery*));
IS(postern_ext_events, with, postern_str (*)(const postern_delivery*));
IS(postern_ext_events, request, const postern_request* (*)(const postern_delivery*));
IS(postern_ext_events, emit, postern_status (*)(postern_delivery*, postern_str, postern_str));
IS(postern_ext_events, set_result, postern_status (*)(postern_delivery*, postern_str));
IS(postern_ext_events, complete, postern_status (*)(postern_delivery*, postern_status, postern_str));
IS(postern_ext_events, retry_after, postern_status (*)(postern_delivery*, uint64_t));
IS(postern_ext_events, critical, postern_status (*)(postern_host*, postern_str));
IS(postern_ext_events, publish, postern_status (*)(postern_host*, const postern_publish_desc*, postern_publish_callback, void*));
IS(postern_ext_events, subscribe, postern_status (*)(postern_host*, postern_str, postern_str, postern_event_handler, void*));
IS(postern_ext_events, subscription, postern_status (*)(postern_host*, size_t, postern_subscription*));
IS(postern_ext_events, subscription_fault, postern_status (*)(postern_host*, size_t, postern_str, postern_str));
IS(postern_ext_events, default_policy, postern_status (*)(postern_host*, const postern_policy_desc*));

SIZE(postern_subscription, 56);
AT(postern_subscription, struct_size, 0);
AT(postern_subscription, name, 8);
AT(postern_subscription, on, 24);
AT(postern_subscription, with, 40);

static_assert(sizeof(postern_policy_desc) == 20 && alignof(postern_policy_desc) == 4);
AT(postern_policy_desc, struct_size, 0);
AT(postern_policy_desc, deadline_ms, 4);
AT(postern_policy_desc, attempts, 8);
AT(postern_policy_desc, retry_base_ms, 12);
AT(postern_policy_desc, retry_cap_ms, 16);

SIZE(postern_provider_report, 96);
AT(postern_provider_report, struct_size, 0);
AT(postern_provider_report, provider, 8);
AT(postern_provider_report, received, 24);
AT(postern_provider_report, done, 32);
AT(postern_provider_report, dead, 40);
AT(postern_provider_report, waiting, 48);
AT(postern_provider_report, slowest_ms, 56);
AT(postern_provider_report, slowest_event, 64);
AT(postern_provider_report, slowest_type, 80);
static_assert(std::is_same_v<postern_provider_callback, void (*)(void*, const postern_provider_report*)>);

SIZE(postern_ext_reports, 8);
IS(postern_ext_reports, by_provider, postern_status (*)(postern_host*, int64_t, int64_t, postern_provider_callback, void*));
// NOLINTEND

#endif

TEST(AbiLayout, EventsAndReportsIds) {
  EXPECT_STREQ(POSTERN_EXT_EVENTS, "postern.events/1");
  EXPECT_STREQ(POSTERN_EXT_REPORTS, "postern.reports/1");
}
