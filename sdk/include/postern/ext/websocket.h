/* postern.websocket/1 (host): WebSocket sessions, as a server and as a client.
 *
 * A session belongs to one thread of the host, which serves this plugin's sessions alone. Its calls into the plugin come there, one after
 * the other: [session]. So do those of a session that was opened `beside` another: two that belong together need no lock between them.
 * A call must not wait: the thread has other sessions. Nothing here blocks.
 *
 * THREADS  [session] inside a call of the session itself, or of one beside it. */
#ifndef POSTERN_EXT_WEBSOCKET_H
#define POSTERN_EXT_WEBSOCKET_H

#include "../abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_EXT_WEBSOCKET "postern.websocket/1"
#define POSTERN_REASON_SILENT "the peer is silent"

/* Host-owned: from accept or connect until ended() has returned and, where they were called within a call into the plugin, until that
 * returns. On a thread of the plugin's own it may be gone before they return: take its id in opened(). */
typedef struct postern_session postern_session;

enum {
  POSTERN_MESSAGE_TEXT = 1, /* UTF-8, checked */
  POSTERN_MESSAGE_BINARY = 2
};
enum {
  POSTERN_SEND_MEDIA = 1u /* worth something only in time: where it does not fit, the oldest of it is dropped, and counted */
};

/* SIZED. How a session ended. */
typedef struct postern_session_end {
  uint32_t struct_size;
  uint32_t code;        /* of the closing frame: the peer's, or ours where we closed. 1005: it had none. 1006: there was no closing handshake */
  uint32_t by_peer;     /* 1: the peer closed first */
  uint32_t http_status; /* clients: what the server answered to the handshake; 0: nothing */
  uint64_t dropped;     /* messages of media */
  postern_str reason;   /* for people; where the peer closed, its words. Without secrets. POSTERN_REASON_SILENT: no ping was answered */
} postern_session_end;

/* SIZED. What the host calls. NULL: the plugin does not want to know. None may unwind. `user` is what accept or connect was given. */
typedef struct postern_session_calls {
  uint32_t struct_size, reserved;
  /* [session] Messages can be sent from now on. The first call, unless connect() leads nowhere or a timer was armed before. */
  void (*opened)(postern_instance* self, void* user, postern_session* session);
  /* [session] A whole message. `data` lives until the call returns. */
  void (*message)(postern_instance* self, void* user, postern_session* session, uint32_t kind, postern_str data);
  /* [session] At most a quarter of max_queued waits, after a send() that left more than half of it waiting. Who must lose no media
   * pauses in between what it comes from. */
  void (*writable)(postern_instance* self, void* user, postern_session* session);
  /* [session] What arm() asked for. */
  void (*timer)(postern_instance* self, void* user, postern_session* session);
  /* [session] After wake(); one call may stand for several. */
  void (*woken)(postern_instance* self, void* user, postern_session* session);
  /* [session] The last call: the session is gone when it returns, and `user` the plugin's alone. */
  void (*ended)(postern_instance* self, void* user, postern_session* session, const postern_session_end* end);
} postern_session_calls;

/* SIZED. Zero is the default of what stands behind it. */
typedef struct postern_session_limits {
  uint32_t struct_size;
  uint32_t ping_ms;     /* 20,000: of silence, then a ping; after as long again the peer is lost */
  uint64_t max_message; /* 1 MiB: bytes of one that comes; a longer one ends the session with 1009 */
  uint64_t max_queued;  /* 256 KiB: bytes that wait for the peer. Media beyond it is dropped; control messages may take four times as much,
                         * then the session is closed with 1013 */
} postern_session_limits;

/* SIZED. Borrowed until the call returns. */
typedef struct postern_connect_desc {
  uint32_t struct_size;
  uint32_t connect_ms;        /* 10,000: name, connection, proxy, TLS and handshake together */
  postern_str url;            /* "wss://api.example.com/v1/realtime?model=…"; ws:// is not encrypted */
  const postern_str* headers; /* name, value, name, value, … Host, Upgrade and the like are the host's own */
  size_t headers_len;         /* strings, not pairs */
  postern_str protocols;
  postern_str ca_file;        /* PEM, whom to trust; "": whom the system trusts */
  postern_str proxy;          /* "http://[user:password@]host:port"; "": none */
  postern_session_limits limits;
} postern_connect_desc;

/* FROZEN. */
typedef struct postern_ext_websocket {
  /* [any] In place of send() of postern.http, for a request of a route of the kind POSTERN_ROUTE_WEBSOCKET: the client is told that the
   * session begins. opened() or, where the client has gone, ended() is called later, never within this call. `protocols`: "realtime,
   * other": the first that the client offers is chosen; "": none. `limits` and `session` may be NULL. POSTERN_E_LIMIT: too
   * many sessions: nothing is called, and the reply is still to be sent. POSTERN_E_GONE: too late. Once `session` has been set, ended() is
   * called, whatever this returns. */
  postern_status (*accept)(postern_host* host, postern_reply* reply, postern_str protocols, const postern_session_limits* limits,
                           const postern_session_calls* calls, void* user, postern_session** session);

  /* [session] where `beside` is one of the plugin's sessions, else [any], after activate. Does not wait: opened() or ended() is called
   * later, never within this call. `session` may be NULL. POSTERN_E_INVALID: the URL, a header or a file is wrong; POSTERN_E_STATE: not
   * active; POSTERN_E_LIMIT: too many sessions. Then nothing is called. */
  postern_status (*connect)(postern_host* host, const postern_connect_desc* desc, const postern_session_calls* calls, void* user,
                            postern_session* beside, postern_session** session);

  /* [session] Copies the message. POSTERN_E_GONE: the session is not open; POSTERN_E_LIMIT: the peer has stopped taking even control
   * messages, and is closed; POSTERN_E_INVALID: the kind is unknown. */
  postern_status (*send)(postern_session* session, uint32_t kind, uint32_t flags, postern_str data);

  /* [session] Sends what waits, but no media, then the closing frame; ended() comes when the peer has answered, or after five seconds.
   * Closing twice is fine. `code` is 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999, else 1011 is sent. Where the session is not open yet,
   * it is given up. */
  void (*close)(postern_session* session, uint32_t code, postern_str reason);

  /* [session] Bytes that wait to be taken by the peer, and messages of media that were dropped. */
  size_t (*buffered)(const postern_session* session);
  uint64_t (*dropped)(const postern_session* session);

  /* [session] While paused nothing is read, pings neither: the peer's own buffers fill up. What was read before, 64 KiB at most, still
   * comes. Not counted: one resume() ends it. */
  void (*pause)(postern_session* session);
  void (*resume)(postern_session* session);

  /* [session] timer() in `ms` milliseconds, up to 64 late; in place of what was asked for before. 0: not any more. It comes also where the
   * session is not open yet. */
  void (*arm)(postern_session* session, uint32_t ms);

  /* [any] A number that stands for the session on other threads, unique while the gateway runs; and a call of woken() on the session's own,
   * after opened(). POSTERN_E_GONE: it has ended. */
  uint64_t (*id)(const postern_session* session);
  postern_status (*wake)(postern_host* host, uint64_t id);

  /* [session] Takes back the media that has not begun to be sent, uncounted by dropped(). How many messages. */
  uint64_t (*discard_media)(postern_session* session);

  /* [main] In init. Reads whom a `ca_file` names, "" for whom the system trusts, so that connect() finds them read: that takes tens of
   * milliseconds. POSTERN_E_INVALID: the file is wrong: the log says why, and it is for the plugin to report it as a config_fault. */
  postern_status (*trust)(postern_host* host, postern_str ca_file);
} postern_ext_websocket;

#ifdef __cplusplus
}
#endif
#endif
