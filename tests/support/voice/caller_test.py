"""The caller, against a plain websockets server that answers it well or badly."""

import asyncio
import base64
import http
import io
import json
import unittest

import websockets

import audio
import caller_steps
from caller_rules import RULES
from journal import Journal, monotonic_ms
from media_stream import MediaStream, signature_of
from twilio_caller import call

SID = "MZ" + "a" * 32
TONE = audio.PCMU.encode(audio.tone(440, 400, 8000))


def media(data, sid=SID):
    return {"event": "media", "streamSid": sid, "media": {"payload": base64.b64encode(data).decode()}}


def mark(name, sid=SID):
    return {"event": "mark", "streamSid": sid, "mark": {"name": name}}


CLEAR = {"event": "clear", "streamSid": SID}
BROKEN = [
    ("frame.binary", b"\x00"),
    ("frame.json", "{"),
    ("frame.json", '{"event":"clear","event":"clear","streamSid":"%s"}' % SID),
    ("frame.json", "[]"),
    ("event.unknown", {"event": "dtmf", "streamSid": SID}),
    ("event.unknown", {"streamSid": SID}),
    ("event.keys", {"event": "clear"}),
    ("event.keys", {**CLEAR, "sequenceNumber": "1"}),
    ("event.keys", {**media(TONE), "media": {"payload": "", "track": "outbound"}}),
    ("event.keys", {**mark("x"), "mark": {"name": "x", "more": 1}}),
    ("stream_sid", media(TONE, "MZ" + "b" * 32)),
    ("media.base64", {**media(TONE), "media": {"payload": "no base64!"}}),
    ("media.base64", {**media(TONE), "media": {"payload": "AAA"}}),
    ("media.base64", {**media(TONE), "media": {"payload": ""}}),
    ("media.base64", {**media(TONE), "media": {"payload": None}}),
    ("media.header", media(b"RIFF" + TONE)),
    ("mark.name", {**mark("x"), "mark": {}}),
    ("mark.name", mark("")),
    ("mark.name", {**mark("x"), "mark": "x"}),
]


class CallerTest(unittest.IsolatedAsyncioTestCase):
    async def call(self, answer, *steps, server=None, **options):
        """A call to a server that runs answer(socket, messages) when the stream has started; (exit status, what the server got)."""
        got = asyncio.Queue()
        self.got = []  # (when, message)

        async def serve(socket, path):
            self.path, self.headers = path, socket.request_headers
            answering = None
            try:
                async for frame in socket:
                    message = json.loads(frame) if isinstance(frame, str) and frame[:1] == "{" and frame[-1:] == "}" else frame
                    self.got.append((asyncio.get_running_loop().time(), message))
                    got.put_nowait(message)
                    first = "connected" if options.get("start_delay_ms") else "start"
                    if answer and answering is None and isinstance(message, dict) and message["event"] == first:
                        answering = asyncio.create_task(answer(socket, got))
            except websockets.ConnectionClosed:
                pass
            self.close_code = socket.close_code
            if answering:
                await asyncio.wait_for(answering, 5)
            ended.set()

        ended = asyncio.Event()
        async with websockets.serve(serve, "127.0.0.1", 0, max_size=1 << 24, **(server or {})) as listening:
            port = listening.sockets[0].getsockname()[1]
            self.lines = io.StringIO()
            signature = options.pop("signature", "s")
            self.stream = MediaStream(Journal(self.lines, monotonic_ms()), [caller_steps.parse(step) for step in steps],
                                      **{"stream_sid": SID, "call_sid": "CA1", "account_sid": "AC1", "parameters": {"id": "7"}, **options})
            status = await call(f"ws://127.0.0.1:{port}/media", self.stream, self.stream.journal, signature=signature)
            if status != 3:
                await asyncio.wait_for(ended.wait(), 5)
        return status

    def events(self, name):
        return [message for _, message in self.got if isinstance(message, dict) and message["event"] == name]

    def journal(self, event):
        return [line for line in map(json.loads, self.lines.getvalue().splitlines()) if line["event"] == event]

    async def test_what_a_stream_is_made_of(self):
        status = await self.call(None, "tone:440:400", "silence:200", "dtmf:4#", "silence:100")
        self.assertEqual(0, status)
        self.assertEqual({"event": "connected", "protocol": "Call", "version": "1.0.0"}, self.got[0][1])
        start = self.got[1][1]
        self.assertEqual(("1", SID, {"id": "7"}), (start["sequenceNumber"], start["streamSid"], start["start"]["customParameters"]))
        self.assertEqual({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}, start["start"]["mediaFormat"])
        frames = self.events("media")
        self.assertEqual(35, len(frames))
        self.assertEqual([(str(n + 1), str(20 * n), 216) for n in range(35)],
                         [(each["media"]["chunk"], each["media"]["timestamp"], len(each["media"]["payload"])) for each in frames])
        self.assertEqual(TONE + b"\xff" * 2400, b"".join(base64.b64decode(each["media"]["payload"]) for each in frames))
        self.assertEqual(["4", "#"], [each["dtmf"]["digit"] for each in self.events("dtmf")])
        numbered = [int(message["sequenceNumber"]) for _, message in self.got[1:]]
        self.assertEqual(list(range(1, len(numbered) + 1)), numbered)
        self.assertEqual({"accountSid": "AC1", "callSid": "CA1"}, self.got[-1][1]["stop"])
        self.assertEqual(1000, self.close_code)
        times = [when for when, message in self.got if message["event"] == "media"]
        self.assertGreater(times[-1] - times[0], 0.6, "in real time")

    async def test_marks_return_when_they_were_played(self):
        async def answer(socket, _):
            for message in (mark("none"), media(TONE), mark("one"), media(TONE), mark("two")):
                await socket.send(json.dumps(message))

        self.assertEqual(0, await self.call(answer, "silence:1000"))
        begin = next(when for when, message in self.got if message["event"] == "start")
        back = {message["mark"]["name"]: when - begin for when, message in self.got if message["event"] == "mark"}
        self.assertEqual(["none", "one", "two"], list(back))
        self.assertLess(back["none"], 0.36)
        self.assertGreater(back["one"], 0.36)
        self.assertGreater(back["two"], 0.76)
        self.assertIn(TONE + TONE, bytes(self.stream.heard))

    async def test_clear_drops_and_returns_at_once(self):
        async def answer(socket, got):
            for message in (media(TONE * 20), mark("one"), mark("two")):
                await socket.send(json.dumps(message))
            for _ in range(10):
                await got.get()
            await socket.send(json.dumps(CLEAR))
            await socket.send(json.dumps(media(TONE[:800])))

        self.assertEqual(0, await self.call(answer, "silence:700"))
        self.assertEqual(["one", "two"], [each["mark"]["name"] for each in self.events("mark")])
        clear = self.journal("clear_received")[0]
        self.assertGreater(clear["dropped_ms"], 7000)
        self.assertLess(self.journal("mark")[-1]["ms"] - clear["ms"], 50)
        self.assertTrue(bytes(self.stream.heard).rstrip(b"\xff").endswith(TONE[:800].rstrip(b"\xff")))
        self.assertAlmostEqual(8000 + 100, clear["dropped_ms"] + self.journal("summary")[0]["heard_ms"], delta=1)

    async def test_each_rule_is_told_when_it_is_broken(self):
        for rule, frame in BROKEN:
            async def answer(socket, _, frame=frame):
                await socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

            with self.subTest(rule=rule, frame=str(frame)[:80]):
                self.assertEqual(1, await self.call(answer, "silence:80"))
                self.assertEqual([rule], [line["rule"] for line in self.journal("violation")])
        self.assertEqual(set(RULES), {row[0] for row in BROKEN} | {"event.before_start"})

    async def test_nothing_may_come_before_the_start(self):
        async def answer(socket, _):
            await socket.send(json.dumps(media(TONE)))

        self.assertEqual(1, await self.call(answer, "silence:60", start_delay_ms=100))
        self.assertEqual(["event.before_start"], [line["rule"] for line in self.journal("violation")])

    async def test_misbehaviour_reaches_the_server(self):
        await self.call(None, "wrong_sid", "bad_base64", "payload:1", "payload:1000000", "no_json", "no_object", "binary", "unknown",
                        "second_start", "raw:{}x", "silence:40", media_before_start=True)
        got = [message for _, message in self.got]
        self.assertEqual(["connected", "media", "start"], [message["event"] for message in got[:3]])
        sizes = [len(each["media"]["payload"]) for each in self.events("media")]
        self.assertEqual([216, 216, 25, 4, 1333336, 216, 216], sizes)
        self.assertEqual("MZ" + "f" * 32, self.events("media")[1]["streamSid"])
        self.assertEqual(["{no JSON", "[1, 2]", b"\x00\x01\x02", "{}x"], [message for message in got if not isinstance(message, dict)])
        self.assertEqual([SID, "MZ" + "e" * 32], [each["streamSid"] for each in self.events("start")])
        self.assertEqual(1, len(self.events("surprise")))

    async def test_ends(self):
        for step, code in (("drop", 1006), ("close:1001", 1001)):
            await self.call(None, "silence:40", step)
            self.assertEqual((code, []), (self.close_code, self.events("stop")))

        async def answer(socket, _):
            await socket.close(1011, "so")

        self.assertEqual(0, await self.call(answer, "silence:5000"))
        self.assertEqual(("server", 1011, "so"), tuple(self.journal("closed")[0][key] for key in ("by", "code", "reason")))
        self.assertEqual(1, await self.call(None, "heard:1000", longest_ms=100))
        self.assertEqual(1, len(self.journal("too_long")))

    async def test_mute_and_deaf(self):
        await self.call(None, "silence:100", "mute:300", "silence:100")
        stamps = [int(each["media"]["timestamp"]) for each in self.events("media")]
        self.assertEqual([0, 20, 40, 60, 80, 400, 420, 440, 460, 480], stamps)

        async def answer(socket, _):
            await asyncio.sleep(0.05)
            await socket.send(json.dumps(mark("late")))

        await self.call(answer, "deaf:400", "silence:700")
        self.assertGreater(self.journal("mark_received")[0]["ms"] - self.journal("start")[0]["ms"], 390)

    async def test_it_listens_before_it_speaks(self):
        async def answer(socket, _):
            await asyncio.sleep(0.1)
            await socket.send(json.dumps(media(TONE)))

        await self.call(answer, "heard:200", "dtmf:1", "quiet:100", "dtmf:2")
        digits = [line["ms"] - self.journal("media_received")[0]["ms"] for line in self.journal("dtmf")]
        self.assertTrue(150 < digits[0] < digits[1] and digits[1] > 450, digits)

    async def test_refused(self):
        async def refuse(_path, _headers):
            return http.HTTPStatus.FORBIDDEN, [], b""

        self.assertEqual(3, await self.call(None, "silence:40", server={"process_request": refuse}))
        self.assertEqual(403, self.journal("refused")[0]["status"])

    async def test_signature(self):
        await self.call(None, "silence:20", signature=signature_of("12345", "wss://example.com/x"))
        # openssl: printf wss://example.com/x | openssl dgst -sha1 -hmac 12345 -binary | base64
        self.assertEqual("IGw1aVQcx1WoEyzKIwckjqzZNHM=", self.headers["x-twilio-signature"])
        await self.call(None, "silence:20", signature=None)
        self.assertNotIn("x-twilio-signature", self.headers)

    def test_mistakes_in_steps_are_told(self):
        for step in ("sing", "silence", "silence:", "silence:x", "silence:0", "tone:440", "dtmf:x", "wav:/nowhere.wav", "drop:1",
                     "payload:-1"):
            with self.subTest(step), self.assertRaises(ValueError):
                caller_steps.parse(step)
