"""What a caller does, one step after the other, as the command line and tests write them: KIND or KIND:VALUE."""

import audio
import speech

# Those that take time: the caller is silent in them unless the step is speech.
TIMED = {
    "silence": "silence:MS",
    "tone": "tone:HZ:MS",
    "wav": "wav:FILE",
    "say": "say:TEXT, spoken by espeak-ng",
    "heard": "heard:MS, silent until MS ms of sound were heard from here on",
    "quiet": "quiet:MS, silent until nothing was left to play for MS ms",
    "mute": "mute:MS, sends nothing at all",
}
AT_ONCE = {
    "dtmf": "dtmf:DIGITS",
    "deaf": "deaf:MS, reads nothing for MS ms while the steps go on",
    "wrong_sid": "a media frame of another stream",
    "bad_base64": "a media frame whose payload is no base64",
    "payload": "payload:BYTES, one media frame with so much audio",
    "no_json": "a frame that is no JSON",
    "no_object": "a frame that is JSON but no object",
    "deep": "a frame of 100,000 nested arrays",
    "binary": "a binary frame",
    "unknown": "an event that there is not",
    "second_start": "a second stream begins on the same connection",
    "raw": "raw:TEXT, a text frame as it is",
    "drop": "the TCP connection is reset",
    "close": "close:CODE, without a stop",
}
NUMBERS = {"silence", "heard", "quiet", "mute", "deaf", "payload", "close"}
MOST = 3_600_000


class BadStep(ValueError):
    pass


def parse(text):
    """(kind, value), checked; audio is rendered to mu-law here, so that the call itself computes nothing."""
    kind, _, value = text.partition(":")
    if kind not in TIMED and kind not in AT_ONCE:
        raise BadStep(f"{text!r}: no such step; there are {', '.join([*TIMED, *AT_ONCE])}")
    takes_value = ":" in {**TIMED, **AT_ONCE}[kind]
    if takes_value != bool(value):
        raise BadStep(f"{text!r}: write {TIMED.get(kind) or AT_ONCE[kind] if takes_value else kind}")
    if kind in NUMBERS:
        if not value.isdigit() or not 0 < int(value) <= MOST:
            raise BadStep(f"{text!r}: a number from 1 to {MOST}")
        return kind, int(value)
    if kind == "dtmf" and set(value) - set("0123456789*#ABCD"):
        raise BadStep(f"{text!r}: digits are 0 to 9, *, # and A to D")
    if kind in ("tone", "wav", "say"):
        return kind, audio.PCMU.encode(speech.render(_source(kind, value), audio.PCMU.rate))
    return kind, value or None


def _source(kind, value):
    if kind == "say":
        return value
    if kind == "wav":
        return {"wav": value}
    hz, _, ms = value.partition(":")
    if not (hz.isdigit() and ms.isdigit()):
        raise BadStep(f"tone:{value}: write tone:HZ:MS")
    return {"tone_hz": int(hz), "ms": int(ms)}


def help_text():
    lines = [f"  {kind:<13} {text}" for kind, text in {**TIMED, **AT_ONCE}.items()]
    return "steps (--do), in the order given; after the last one the stream is stopped and closed:\n" + "\n".join(lines)
