"""What a server may send on a bidirectional media stream; each rule that it breaks is a violation in the caller's journal."""

import base64
import binascii
import json

RULES = {
    "frame.binary": "frames are text",
    "frame.json": "a frame is one JSON object, without a key twice",
    "event.unknown": "the event is media, mark or clear",
    "event.keys": "an event has the keys of its kind and no others",
    "event.before_start": "nothing is sent before the stream has started",
    "stream_sid": "streamSid is that of the stream",
    "media.base64": "the payload is base64, of the standard alphabet and padded, and not empty",
    "media.header": "the payload is audio alone, without the header of a file",
    "mark.name": "a mark has a name, a text that is not empty",
}
KEYS = {"media": {"event", "streamSid", "media"}, "mark": {"event", "streamSid", "mark"}, "clear": {"event", "streamSid"}}
HEADERS = (b"RIFF", b".snd", b"ID3", b"OggS", b"fLaC")


class Violation(Exception):
    def __init__(self, rule, detail=""):
        assert rule in RULES, rule
        super().__init__(detail or RULES[rule])
        self.rule = rule


def _no_key_twice(pairs):
    if len(pairs) != len({key for key, _ in pairs}):
        raise ValueError("a key twice")
    return dict(pairs)


def checked(frame, stream_sid, started):
    """(event, value) of what the server sent: audio for media, the name for mark, None for clear. Raises Violation."""
    if isinstance(frame, bytes):
        raise Violation("frame.binary")
    try:
        message = json.loads(frame, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError) as error:
        raise Violation("frame.json", str(error)) from error
    if not isinstance(message, dict):
        raise Violation("frame.json")
    event = message.get("event")
    if not isinstance(event, str) or event not in KEYS:
        raise Violation("event.unknown", f"{str(event)[:80]!r} is none of {', '.join(KEYS)}")
    if set(message) != KEYS[event]:
        raise Violation("event.keys", f"{event} has {', '.join(sorted(message))}")
    if not started:
        raise Violation("event.before_start", event)
    if message["streamSid"] != stream_sid:
        raise Violation("stream_sid", str(message["streamSid"])[:80])
    if event == "media":
        return event, _payload(message["media"])
    return event, _name(message["mark"]) if event == "mark" else None


def _payload(media):
    if not isinstance(media, dict) or set(media) != {"payload"}:
        raise Violation("event.keys", "media is an object with payload and nothing else")
    try:
        data = base64.b64decode(media["payload"].encode("ascii"), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error) as error:
        raise Violation("media.base64", str(error)) from error
    if not data:
        raise Violation("media.base64", "the payload is empty")
    if data.startswith(HEADERS):
        raise Violation("media.header")
    return data


def _name(mark):
    if not isinstance(mark, dict) or not isinstance(mark.get("name"), str) or not mark["name"]:
        raise Violation("mark.name")
    if set(mark) != {"name"}:
        raise Violation("event.keys", "mark is an object with name and nothing else")
    return mark["name"]
