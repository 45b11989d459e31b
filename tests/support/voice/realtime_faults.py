"""What goes wrong on a connection when a script says so: it stalls, drops, closes, or sends what is no event."""

import asyncio
import base64
import json

import realtime_events as events
from realtime_script import ERRORS
from sockets import reset


async def do_connection_step(session, step):
    kind = next(iter(step.keys() & {"stall_ms", "drop", "close", "garbage", "error", "event"}))
    value = step[kind]
    session.journal.write("scripted", connection=session.number, step=step if len(json.dumps(step)) < 500 else kind)
    if kind == "stall_ms":
        await asyncio.sleep(value / 1000)
    elif kind == "drop":
        reset(session.socket.transport)
        await asyncio.sleep(3600)  # nothing comes after it; the end of the connection cancels this
    elif kind == "close":
        # In a task of its own: the closing handshake waits for the client, and the end of the session for this step.
        session.closing = asyncio.create_task(session.socket.close(value, step.get("reason", "")))
        await asyncio.sleep(3600)
    elif kind == "error":
        error = ERRORS[value] if isinstance(value, str) else value
        await session.send("error", error={"param": None, "event_id": None, **error})
    elif kind == "event":
        await session.send_raw(json.dumps({"event_id": events.new_id("event"), **value}))
    elif isinstance(value, str):
        await session.send_raw(value)
    elif "binary" in value:
        await session.send_raw(bytes(value["binary"]))
    elif "huge" in value:
        await session.send_raw("x" * value["huge"])
    else:
        session.socket.transport.write(base64.b64decode(value["raw"]))
