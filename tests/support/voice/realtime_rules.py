"""The rules that a client of the Realtime API is held to, by the names they have in the journal.

RULES are violations: a client that keeps to the protocol never breaks one. BENIGN are answered with an `error` event as well, but a
right client can meet them, since what it sends and what the server sends cross on the way.
"""

RULES = {
    "handshake.path": "the path is /v1/realtime",
    "handshake.query": "the query has either model or call_id, once, and nothing else",
    "handshake.bearer": "Authorization is Bearer and the key",
    "handshake.beta": "there is no OpenAI-Beta header",
    "frame.websocket": "frames are as RFC 6455 has them, their text is UTF-8, and none is larger than 15 MiB of audio need",
    "frame.binary": "frames are text",
    "frame.json": "a frame is one JSON object, without a key twice, NaN or Infinity",
    "event.type": "`type` is that of a client event",
    "event.beta": "no name of the beta is used",
    "event.unknown_key": "an event has the keys of its type and no others",
    "event.missing_key": "an event has the keys that its type needs",
    "event.value": "a value has its type, and is one of those allowed",
    "session.type": "session.update has session.type realtime",
    "session.model": "the model is that of the handshake",
    "session.voice": "the voice stays, once there was audio output",
    "append.base64": "audio is base64, of the standard alphabet and padded, and not empty",
    "append.samples": "audio is whole samples of the session's format",
    "append.size": "audio is 15 MiB at most",
    "commit.vad": "no commit while turn detection commits",
    "commit.empty": "no commit of an empty buffer",
    "item.id": "a new item has an id that is new",
    "item.unknown": "item_id and previous_item_id name an item of the conversation",
    "item.call_id": "function_call_output names a call_id of a function call",
    "item.answered": "a function call is answered once",
    "truncate.item": "only an assistant's message with audio is truncated",
    "truncate.content_index": "content_index is that of the audio: 0",
    "truncate.past_end": "audio_end_ms is not beyond the audio generated",
    "output_buffer": "output_audio_buffer.clear is for calls by WebRTC and SIP",
}

BENIGN = {
    "cancel.not_active": "response.cancel where no such response is active",
    "response.active": "response.create while one is active",
}


class Fault(Exception):
    """A client event broke a rule; `code`, `param` and the message go into the `error` event."""

    def __init__(self, rule, code, message, param=None):
        assert rule in RULES or rule in BENIGN, rule
        super().__init__(message)
        self.rule, self.code, self.message, self.param = rule, code, message, param

    @property
    def benign(self):
        return self.rule in BENIGN
