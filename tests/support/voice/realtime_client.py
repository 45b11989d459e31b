"""For the selftest: a scripted server in this process, and a plain websockets client of it."""

import asyncio
import base64
import io
import json
import unittest

import websockets

import audio
from journal import Journal
from realtime_script import Script
from realtime_server import Server

KEY = "sk-selftest"
PCMU_SESSION = {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None},
                                              "output": {"format": {"type": "audio/pcmu"}}}}


def update(**changes):
    return {"type": "session.update", "session": {"type": "realtime", **changes}}


def append(data):
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()}


def with_vad(**detection):
    return update(audio={"input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad", **detection}},
                         "output": {"format": {"type": "audio/pcmu"}}})


def loud(ms):
    return audio.PCMU.encode(audio.tone(440, ms, 8000))


def quiet(ms):
    return b"\xff" * (8 * ms)


class ServerTest(unittest.IsolatedAsyncioTestCase):
    async def server(self, **script):
        self.lines = io.StringIO()
        server = Server(Script(script), KEY, Journal(self.lines))
        self.port = await server.start()
        self.addAsyncCleanup(server.stop)

    def journal(self, event):
        return [line for line in map(json.loads, self.lines.getvalue().splitlines()) if line["event"] == event]

    async def told(self, event, count=1):
        """The lines of the journal, once there are as many: what the client sees may come before."""
        for _ in range(1000):
            if len(lines := self.journal(event)) >= count:
                return lines
            await asyncio.sleep(0.005)
        self.fail(f"{event} was not told {count} times:\n{self.lines.getvalue()[-2000:]}")

    async def connect(self, target="/v1/realtime?model=gpt-realtime", key=KEY, **headers):
        bearer = {"Authorization": f"Bearer {key}"} if key else {}
        socket = await websockets.connect(f"ws://127.0.0.1:{self.port}{target}", extra_headers={**bearer, **headers}, max_size=None,
                                          compression=None, close_timeout=1)
        self.addAsyncCleanup(socket.close)
        return socket

    async def ready(self, socket, *frames):
        """Past session.created and, when there is a first session.update, past its answer."""
        self.assertEqual("session.created", (await event(socket))["type"])
        for frame in frames:
            await tell(socket, frame)
            self.assertEqual("session.updated", (await event(socket))["type"])
        return socket


async def tell(socket, frame):
    await socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))


async def event(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 5))


async def until(socket, kind, **fields):
    """All events up to the first of this type with these fields."""
    got = []
    while not got or got[-1]["type"] != kind or any(got[-1].get(key) != value for key, value in fields.items()):
        got.append(await event(socket))
    return got
