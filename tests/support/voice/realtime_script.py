"""What a scripted server does, read from JSON and checked at the start: README.md here has the keys. A mistake in it is BadScript."""

import base64
import binascii
import http

import speech

DEFAULT = {
    "on_connect": {},
    "responses": [],
    "otherwise": {"say": "All right."},
    "transcripts": [],
    "timers": [],
    "vad": True,
}
# What a step says in its first key, and what may stand beside it.
STEPS = {
    "say": {"transcript", "chunk_ms", "realtime_factor"},
    "flood_ms": {"chunk_ms"},
    "call": set(),
    "stall_ms": set(),
    "drop": set(),
    "close": {"reason"},
    "garbage": set(),
    "error": set(),
    "event": set(),
    "fail": set(),
    "incomplete": set(),
}
CONNECTION_STEPS = {"stall_ms", "drop", "close", "garbage", "error", "event"}
# `error` events by name, as {"error": "server_error"} asks for them.
INVALID = "invalid_request_error"
ERRORS = {code: {"type": kind, "code": code, "message": message} for kind, code, message in (
    ("server_error", "server_error", "The server had an error while processing your request."),
    (INVALID, "rate_limit_exceeded", "Rate limit reached. Try again later."),
    ("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    (INVALID, "session_expired", "Your session hit its maximum duration."),
    (INVALID, "invalid_api_key", "Incorrect API key provided."),
    (INVALID, "model_not_found", "The model does not exist."),
    (INVALID, "beta_api_shape_disabled", "The beta API shape is disabled."),
    (INVALID, "response_cancel_not_active", "Cancellation failed: no active response found."),
    (INVALID, "conversation_already_has_active_response", "Conversation already has an active response in progress."),
)}
ON_CONNECT = {
    "refuse": lambda value: isinstance(value, int) and value in set(http.HTTPStatus) and value >= 300,
    "headers": lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
    "hang": lambda value: value is True,
    "drop": lambda value: value is True,
    "close": lambda value: isinstance(value, int) and 1000 <= value <= 4999,
    "delay_ms": lambda value: isinstance(value, (int, float)) and 0 <= value <= speech.LONGEST_MS,
}
MOST_BYTES = 1 << 28


class BadScript(ValueError):
    pass


def check_step(step, where, allowed=frozenset(STEPS)):
    if not isinstance(step, dict) or not step:
        raise BadScript(f"{where}: a step is an object such as {{\"say\": \"Hello\"}}, not {step!r}")
    kind = next((key for key in step if key in STEPS), None)
    if kind not in allowed:
        raise BadScript(f"{where}: {step!r} is no step here; there are {', '.join(sorted(allowed))}")
    if unknown := set(step) - {kind} - STEPS[kind]:
        allowed = ", ".join(sorted(STEPS[kind])) or "nothing else"
        raise BadScript(f"{where}: {kind} has no {', '.join(sorted(unknown))}; it may have {allowed}")
    value = step[kind]
    try:
        _check_value(kind, value)
        for key, least in (("chunk_ms", 1), ("realtime_factor", 0)):
            if key in step and not (isinstance(step[key], (int, float)) and least <= step[key] <= 600_000):
                raise ValueError(f"{key} is a number, {least} or more")
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise BadScript(f"{where}: {kind}: {error}") from error
    return kind


def _check_value(kind, value):
    if kind == "say":
        speech.check(value)
    elif kind in ("stall_ms", "flood_ms") and not (isinstance(value, (int, float)) and 0 < value <= speech.LONGEST_MS):
        raise ValueError("milliseconds, up to an hour")
    elif kind == "call" and not (set(value) <= {"name", "arguments", "call_id"} and isinstance(value["name"], str)
                                 and isinstance(value["arguments"], (dict, str))):
        raise ValueError('{"name": …, "arguments": {…} or, for what is no JSON, a string, "call_id"?: …}')
    elif kind == "close" and not (isinstance(value, int) and 1000 <= value <= 4999):
        raise ValueError("a close code, 1000 to 4999")
    elif kind == "drop" and value is not True:
        raise ValueError("true")
    elif kind == "error" and not (isinstance(value, dict) or value in ERRORS):
        raise ValueError(f"an object, or one of {', '.join(ERRORS)}")
    elif kind in ("event", "fail") and not isinstance(value, dict):
        raise ValueError("an object")
    elif kind == "incomplete" and value not in ("max_output_tokens", "content_filter"):
        raise ValueError("max_output_tokens or content_filter")
    elif kind == "garbage" and not isinstance(value, str):
        (name, size), = value.items()
        if name == "raw":
            base64.b64decode(size, validate=True)
        elif name not in ("binary", "huge") or not (isinstance(size, int) and 0 < size <= MOST_BYTES):
            raise ValueError('a text, {"binary": bytes}, {"huge": bytes} or {"raw": "base64 that goes past the framing"}')


def _as_steps(value, where, allowed=frozenset(STEPS)):
    steps = value if isinstance(value, list) else [value]
    for n, step in enumerate(steps):
        check_step(step, f"{where}[{n}]" if isinstance(value, list) else where, allowed)
    return steps


class Plan:
    """What one connection gets. Responses and transcripts are taken in order; what is left goes to a renewal that has none of its own."""

    def __init__(self, script, where="script"):
        if unknown := set(script) - set(DEFAULT) - {"renewals"}:
            raise BadScript(f"{where}: unknown: {', '.join(sorted(unknown))}; there are {', '.join(DEFAULT)}, renewals")
        chosen = {**DEFAULT, **script}
        self.vad = chosen["vad"]
        self.on_connect = chosen["on_connect"]
        known = isinstance(self.on_connect, dict) and set(self.on_connect) <= set(ON_CONNECT)
        if not known or not all(ON_CONNECT[key](each) for key, each in self.on_connect.items()):
            raise BadScript(f"{where}.on_connect: {self.on_connect!r} is none; an object with {', '.join(ON_CONNECT)}")
        self.responses = [_as_steps(each, f"{where}.responses[{n}]") for n, each in enumerate(chosen["responses"])]
        self.otherwise = _as_steps(chosen["otherwise"], f"{where}.otherwise")
        self.transcripts = list(chosen["transcripts"])
        if not all(isinstance(each, (str, dict)) for each in self.transcripts):
            raise BadScript(f"{where}.transcripts: texts, or an error object for one that fails")
        if not all(set(timer) == {"after_ms", "do"} and isinstance(timer["after_ms"], (int, float)) for timer in chosen["timers"]):
            raise BadScript(f'{where}.timers: [{{"after_ms": 500, "do": step}}]')
        self.timers = [(timer["after_ms"], _as_steps(timer["do"], f"{where}.timers[{n}].do", frozenset(CONNECTION_STEPS)))
                       for n, timer in enumerate(chosen["timers"])]

    def next_response(self):
        return self.responses.pop(0) if self.responses else self.otherwise

    def next_transcript(self):
        return self.transcripts.pop(0) if self.transcripts else "Hello."


class Script:
    """One plan for each connection: without `renewals` every one begins anew; with it the second and later ones renew the first."""

    def __init__(self, script):
        if not isinstance(script, dict):
            raise BadScript("a script is a JSON object")
        self.script = script
        self.connections, self.last = 0, None
        try:
            Plan(script)
            for n, renewal in enumerate(script.get("renewals", [])):
                Plan(renewal, f"script.renewals[{n}]")
        except (KeyError, TypeError, AttributeError) as error:
            raise BadScript(f"script: {error!r}") from error

    def next_plan(self):
        renewals = self.script.get("renewals", [])
        if not self.connections or not renewals:
            plan = Plan(self.script)
        else:
            own = renewals[min(self.connections, len(renewals)) - 1]
            plan = Plan({**{key: self.script[key] for key in ("otherwise", "vad") if key in self.script}, **own})
            if "responses" not in own:
                plan.responses = self.last.responses
            if "transcripts" not in own:
                plan.transcripts = self.last.transcripts
        self.connections, self.last = self.connections + 1, plan
        return plan
