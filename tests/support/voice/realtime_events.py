"""What the server's objects look like: ids, the session with its defaults, items, responses and their usage."""

import copy
import itertools

_numbers = itertools.count(1)


def new_id(prefix):
    return f"{prefix}_{next(_numbers):021d}"


def new_session(session_id, model):
    return {
        "type": "realtime", "object": "realtime.session", "id": session_id, "model": model, "output_modalities": ["audio"],
        "instructions": "", "tools": [], "tool_choice": "auto", "max_output_tokens": "inf", "truncation": "auto", "tracing": None,
        "prompt": None, "include": None,
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}, "transcription": None, "noise_reduction": None,
                      "turn_detection": with_defaults({"type": "server_vad"})},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
        },
    }


def with_defaults(turn_detection):
    if turn_detection is None:
        return None
    shared = {"create_response": True, "interrupt_response": True}
    if turn_detection["type"] == "semantic_vad":
        return {"eagerness": "auto", **shared, **turn_detection}
    return {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500, "idle_timeout_ms": None, **shared, **turn_detection}


def updated(session, change):
    """`session` with `change` in it: what is absent stays, within `audio` too; a format or a turn detection is replaced as a whole."""
    result = copy.deepcopy(session)
    for key, value in change.items():
        if key != "audio":
            result[key] = value
            continue
        for side, settings in value.items():
            for name, setting in settings.items():
                result["audio"][side][name] = with_defaults(setting) if name == "turn_detection" else setting
    return result


def user_audio_item(transcript=None):
    return {"id": new_id("item"), "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_audio", "transcript": transcript}]}


def message_item():
    return {"id": new_id("item"), "object": "realtime.item", "type": "message", "status": "in_progress", "role": "assistant", "content": []}


def call_item(call_id, name):
    return {"id": new_id("item"), "object": "realtime.item", "type": "function_call", "status": "in_progress", "call_id": call_id,
            "name": name, "arguments": ""}


def usage(audio_in_ms, audio_out_ms, text_out):
    """Tokens as they are counted: 10 a second of input audio, 20 a second of output, 4 characters of text each."""
    audio_in, audio_out, text_tokens = audio_in_ms // 100, audio_out_ms // 50, -(-text_out // 4)
    return {
        "total_tokens": audio_in + audio_out + text_tokens, "input_tokens": audio_in, "output_tokens": audio_out + text_tokens,
        "input_token_details": {"cached_tokens": 0, "text_tokens": 0, "audio_tokens": audio_in, "image_tokens": 0},
        "output_token_details": {"text_tokens": text_tokens, "audio_tokens": audio_out},
    }


RATE_LIMITS = [{"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 60},
               {"name": "tokens", "limit": 50000, "remaining": 49950, "reset_seconds": 60}]
