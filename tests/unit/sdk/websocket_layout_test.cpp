// Golden layouts of postern.websocket: see layout_test.cpp.
#include <gtest/gtest.h>

#include "postern/ext/routes.h"
#include "postern/ext/websocket.h"
#include "tests/unit/sdk/layout.h"

#if defined(__x86_64__) || defined(__aarch64__)

// NOLINTBEGIN: one line a fact
SIZE(postern_session_end, 40);
AT(postern_session_end, struct_size, 0);
AT(postern_session_end, code, 4);
AT(postern_session_end, by_peer, 8);
AT(postern_session_end, http_status, 12);
AT(postern_session_end, dropped, 16);
AT(postern_session_end, reason, 24);

SIZE(postern_session_calls, 56);
AT(postern_session_calls, struct_size, 0);
AT(postern_session_calls, opened, 8);
AT(postern_session_calls, message, 16);
AT(postern_session_calls, writable, 24);
AT(postern_session_calls, timer, 32);
AT(postern_session_calls, woken, 40);
AT(postern_session_calls, ended, 48);
IS(postern_session_calls, opened, void (*)(postern_instance*, void*, postern_session*));
IS(postern_session_calls, message, void (*)(postern_instance*, void*, postern_session*, uint32_t, postern_str));
IS(postern_session_calls, ended, void (*)(postern_instance*, void*, postern_session*, const postern_session_end*));

SIZE(postern_session_limits, 24);
AT(postern_session_limits, struct_size, 0);
AT(postern_session_limits, ping_ms, 4);
AT(postern_session_limits, max_message, 8);
AT(postern_session_limits, max_queued, 16);

SIZE(postern_connect_desc, 112);
AT(postern_connect_desc, struct_size, 0);
AT(postern_connect_desc, connect_ms, 4);
AT(postern_connect_desc, url, 8);
AT(postern_connect_desc, headers, 24);
AT(postern_connect_desc, headers_len, 32);
AT(postern_connect_desc, protocols, 40);
AT(postern_connect_desc, ca_file, 56);
AT(postern_connect_desc, proxy, 72);
AT(postern_connect_desc, limits, 88);

SIZE(postern_ext_websocket, 104);
AT(postern_ext_websocket, accept, 0);
AT(postern_ext_websocket, connect, 8);
AT(postern_ext_websocket, send, 16);
AT(postern_ext_websocket, close, 24);
AT(postern_ext_websocket, buffered, 32);
AT(postern_ext_websocket, dropped, 40);
AT(postern_ext_websocket, pause, 48);
AT(postern_ext_websocket, resume, 56);
AT(postern_ext_websocket, arm, 64);
AT(postern_ext_websocket, id, 72);
AT(postern_ext_websocket, wake, 80);
AT(postern_ext_websocket, discard_media, 88);
AT(postern_ext_websocket, trust, 96);
IS(postern_ext_websocket, accept,
   postern_status (*)(postern_host*, postern_reply*, postern_str, const postern_session_limits*, const postern_session_calls*, void*,
                      postern_session**));
IS(postern_ext_websocket, connect,
   postern_status (*)(postern_host*, const postern_connect_desc*, const postern_session_calls*, void*, postern_session*, postern_session**));
IS(postern_ext_websocket, send, postern_status (*)(postern_session*, uint32_t, uint32_t, postern_str));
IS(postern_ext_websocket, close, void (*)(postern_session*, uint32_t, postern_str));
IS(postern_ext_websocket, wake, postern_status (*)(postern_host*, uint64_t));
IS(postern_ext_websocket, discard_media, uint64_t (*)(postern_session*));
IS(postern_ext_websocket, trust, postern_status (*)(postern_host*, postern_str));

VALUE(POSTERN_ROUTE_WEBSOCKET, 3);
VALUE(POSTERN_MESSAGE_TEXT, 1);
VALUE(POSTERN_MESSAGE_BINARY, 2);
VALUE(POSTERN_SEND_MEDIA, 1);
// NOLINTEND

#endif

TEST(AbiLayout, WebsocketId) { EXPECT_STREQ(POSTERN_EXT_WEBSOCKET, "postern.websocket/1"); }
