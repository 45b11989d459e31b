"""The shapes of the client events of the Realtime API (GA), as a table; `check(event)` raises the Fault that a server would answer.

A checker is a function of (value, path). Names that only the beta knew have a fault of their own, so that a test tells them apart.
"""

from realtime_rules import Fault

LONGEST_ID = 512
BETA_SESSION_KEYS = {"modalities", "input_audio_format", "output_audio_format", "voice", "speed", "input_audio_transcription",
                     "turn_detection", "input_audio_noise_reduction", "max_response_output_tokens", "temperature"}
BETA_FORMATS = {"pcm16", "g711_ulaw", "g711_alaw"}


def bad_value(path, message):
    return Fault("event.value", "invalid_value", f"Invalid value for '{path}': {message}.", path)


def of_beta(name, path):
    return Fault("event.beta", "beta_api_shape_disabled", f"'{name}' is of the beta API shape, which is disabled.", path)


def text(value, path, most=None):
    if not isinstance(value, str):
        raise Fault("event.value", "invalid_type", f"Invalid type for '{path}': expected a string.", path)
    if most and not 0 < len(value) <= most:
        raise bad_value(path, f"expected 1 to {most} characters")


def identifier(value, path):
    text(value, path, LONGEST_ID)


def boolean(value, path):
    if not isinstance(value, bool):
        raise Fault("event.value", "invalid_type", f"Invalid type for '{path}': expected a boolean.", path)


def anything(_value, _path):
    pass


def number(low, high, kinds=(int, float)):
    def checker(value, path):
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise Fault("event.value", "invalid_type", f"Invalid type for '{path}': expected a number.", path)
        if not low <= value <= high:
            raise bad_value(path, f"expected {low} to {high}")
    return checker


def integer(low, high):
    return number(low, high, int)


def one_of(*allowed):
    def checker(value, path):
        if not any(value == each and type(value) is type(each) for each in allowed):
            raise bad_value(path, f"supported values are {', '.join(map(repr, allowed))}")
    return checker


def either(*checkers):
    """The first that takes it; else the fault of the last."""
    def checker(value, path):
        for each in checkers[:-1]:
            try:
                return each(value, path)
            except Fault:
                pass
        return checkers[-1](value, path)
    return checker


def nullable(inner):
    return lambda value, path: None if value is None else inner(value, path)


def list_of(inner, most=None):
    def checker(value, path):
        if not isinstance(value, list):
            raise Fault("event.value", "invalid_type", f"Invalid type for '{path}': expected an array.", path)
        if most is not None and len(value) > most:
            raise bad_value(path, f"expected {most} entries at most")
        for n, each in enumerate(value):
            inner(each, f"{path}[{n}]")
    return checker


def structure(required=None, optional=None, beta=frozenset()):
    required, optional = required or {}, optional or {}

    def checker(value, path):
        if not isinstance(value, dict):
            raise Fault("event.value", "invalid_type", f"Invalid type for '{path}': expected an object.", path)
        dot = f"{path}." if path else ""
        for key in value:
            if key in beta:
                raise of_beta(dot + key, dot + key)
            if key not in required and key not in optional:
                raise Fault("event.unknown_key", "unknown_parameter", f"Unknown parameter: '{dot}{key}'.", dot + key)
        for key in required:
            if key not in value:
                rule = "session.type" if dot + key == "session.type" else "event.missing_key"
                raise Fault(rule, "missing_required_parameter", f"Missing required parameter: '{dot}{key}'.", dot + key)
        for key, each in value.items():
            (required.get(key) or optional[key])(each, dot + key)
    return checker


def by_type(shapes):
    """An object whose `type` decides what else it has."""
    def checker(value, path):
        if not isinstance(value, dict):
            raise Fault("event.value", "invalid_type", f"Invalid type for '{path}': expected an object.", path)
        if "type" not in value:
            raise Fault("event.missing_key", "missing_required_parameter", f"Missing required parameter: '{path}.type'.", path + ".type")
        one_of(*shapes)(value["type"], path + ".type")
        required, optional = shapes[value["type"]]
        structure({"type": anything, **required}, optional)(value, path)
    return checker


def format_of_audio(value, path):
    if isinstance(value, str) and value in BETA_FORMATS:
        raise of_beta(value, path)
    by_type({"audio/pcm": ({"rate": one_of(24000)}, {}), "audio/pcmu": ({}, {}), "audio/pcma": ({}, {})})(value, path)


def session_type(value, path):
    if value != "realtime":
        raise Fault("session.type", "invalid_value", f"Invalid value for '{path}': this session is of the type 'realtime'.", path)


NAMED_VOICE = one_of("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
VOICES = either(structure({"id": identifier}), NAMED_VOICE)
TURN_FLAGS = {"create_response": boolean, "interrupt_response": boolean}
TURN_DETECTION = nullable(by_type({
    "server_vad": ({}, {"threshold": number(0, 1), "prefix_padding_ms": integer(0, 10_000), "silence_duration_ms": integer(0, 60_000),
                        "idle_timeout_ms": nullable(integer(5000, 30_000)), **TURN_FLAGS}),
    "semantic_vad": ({}, {"eagerness": one_of("low", "medium", "high", "auto"), **TURN_FLAGS}),
}))
TRANSCRIPTION = nullable(structure({"model": identifier}, {"language": text, "prompt": text}))
OUTPUT = structure({}, {"format": format_of_audio, "voice": VOICES, "speed": number(0.25, 1.5)})
AUDIO = structure({}, {
    "input": structure({}, {"format": format_of_audio, "transcription": TRANSCRIPTION, "turn_detection": TURN_DETECTION,
                            "noise_reduction": nullable(structure({"type": one_of("near_field", "far_field")}))}),
    "output": OUTPUT,
})
FUNCTION = {"name": identifier}, {"description": text, "parameters": structure({"type": one_of("object")}, {
    "properties": anything, "required": list_of(text), "additionalProperties": anything, "description": text, "$defs": anything})}
MCP = {"server_label": identifier}, {key: anything for key in (
    "server_url", "connector_id", "authorization", "headers", "allowed_tools", "require_approval", "server_description")}
TOOLS = list_of(by_type({"function": FUNCTION, "mcp": MCP}), 128)
NAMED_TOOL = structure({"type": one_of("function", "mcp")}, {"name": text, "server_label": text})
TOOL_CHOICE = either(one_of("auto", "none", "required"), NAMED_TOOL)
MODALITIES = one_of(["audio"], ["text"])
MAX_TOKENS = either(one_of("inf"), integer(1, 4096))
SHARED = {"instructions": text, "output_modalities": MODALITIES, "tools": TOOLS, "tool_choice": TOOL_CHOICE,
          "max_output_tokens": MAX_TOKENS, "prompt": anything, "parallel_tool_calls": boolean, "reasoning": anything}
TRUNCATION = either(one_of("auto", "disabled"), structure({"type": one_of("retention_ratio"), "retention_ratio": number(0, 1)},
                                                          {"token_limits": anything}))
SESSION = structure({"type": session_type}, {
    **SHARED, "model": identifier, "audio": AUDIO, "truncation": TRUNCATION, "tracing": anything, "include": list_of(text),
}, BETA_SESSION_KEYS)

CONTENT = {
    "system": by_type({"input_text": ({"text": text}, {})}),
    "user": by_type({"input_text": ({"text": text}, {}), "input_audio": ({"audio": text}, {"transcript": text}),
                     "input_image": ({"image_url": text}, {"detail": text})}),
    "assistant": by_type({"output_text": ({"text": text}, {}), "output_audio": ({}, {"audio": text, "transcript": text})}),
}
ITEM_KEYS = {"id": identifier, "status": one_of("completed", "incomplete", "in_progress"), "object": one_of("realtime.item")}
ITEM_SHAPE = by_type({
    "message": ({"role": one_of(*CONTENT), "content": list_of(anything)}, ITEM_KEYS),
    "function_call": ({"call_id": identifier, "name": identifier, "arguments": text}, ITEM_KEYS),
    "function_call_output": ({"call_id": identifier, "output": text}, ITEM_KEYS),
})


def item_shape(value, path):
    ITEM_SHAPE(value, path)
    if value["type"] == "message":
        list_of(CONTENT[value["role"]])(value["content"], path + ".content")


RESPONSE = structure({}, {**SHARED, "conversation": one_of("auto", "none"), "metadata": nullable(anything), "input": list_of(anything),
                          "audio": structure({}, {"output": OUTPUT})}, BETA_SESSION_KEYS)
# Per type: what it must have, what it may have.
EVENTS = {
    "session.update": ({"session": SESSION}, {}),
    "input_audio_buffer.append": ({"audio": text}, {}),
    "input_audio_buffer.commit": ({}, {}),
    "input_audio_buffer.clear": ({}, {}),
    "conversation.item.create": ({"item": item_shape}, {"previous_item_id": nullable(identifier)}),
    "conversation.item.delete": ({"item_id": identifier}, {}),
    "conversation.item.retrieve": ({"item_id": identifier}, {}),
    "conversation.item.truncate": ({"item_id": identifier, "content_index": integer(0, 1000), "audio_end_ms": integer(0, 2**31)}, {}),
    "response.create": ({}, {"response": RESPONSE}),
    "response.cancel": ({}, {"response_id": identifier}),
    "output_audio_buffer.clear": ({}, {}),
}


def check(event):
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in EVENTS:
        raise Fault("event.type", "invalid_value", f"Invalid value: {str(kind)[:80]!r}. Supported values are: {', '.join(EVENTS)}.", "type")
    required, optional = EVENTS[kind]
    structure({"type": anything, **required}, {"event_id": identifier, **optional})(event, "")
