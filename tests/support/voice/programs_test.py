"""The two programs as tests start them, over TLS, with a bridge between them; and the picture of their call."""

import asyncio
import json
import signal
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
import xml.dom.minidom
from pathlib import Path

import websockets

import timeline
from bridge import Bridge
from media_stream import signature_of

HERE = Path(__file__).resolve().parent
SCRIPT = {
    "responses": [{"say": {"tone_hz": 300, "ms": 4000}}, {"call": {"name": "look_up", "arguments": {}}},
                  {"say": {"tone_hz": 300, "ms": 400}}],
    "transcripts": ["Where is it?", "Stop!"],
}
STEPS = ["silence:100", "tone:440:300", "heard:600", "tone:440:400", "heard:300", "quiet:100", "dtmf:4#"]


async def program(name, *arguments):
    return await asyncio.create_subprocess_exec(sys.executable, "-B", str(HERE / name), *map(str, arguments), stdout=subprocess.PIPE,
                                                stderr=subprocess.PIPE)


def post(url, body, key):
    headers = {"Idempotency-Key": key} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class ProgramsTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.tls = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", self.tls[1], "-out", self.tls[0]], check=True, capture_output=True)

    async def test_a_call_through_both(self):
        script, caller_log, server_log = (self.folder / name for name in ("script.json", "caller.jsonl", "server.jsonl"))
        script.write_text(json.dumps(SCRIPT))
        server = await program("realtime_server.py", "--tls", *self.tls, "--script", script, "--log", server_log, "--key", "sk-x")
        self.addAsyncCleanup(self.stop, server)
        model = json.loads(await asyncio.wait_for(server.stdout.readline(), 10))["port"]
        trust = ssl.create_default_context(cafile=self.tls[0])
        seen = {}

        async def serve(socket, path):
            seen.update(path=path, host=socket.request_headers["Host"], signature=socket.request_headers["x-twilio-signature"])
            await Bridge(f"wss://localhost:{model}/v1/realtime?model=gpt-realtime", "sk-x", trust).serve(socket)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.tls)
        async with websockets.serve(serve, "127.0.0.1", 0, ssl=context) as bridge:
            port = bridge.sockets[0].getsockname()[1]
            url = "wss://localhost/calls/1"
            steps = [each for step in STEPS for each in ("--do", step)]
            caller = await program("twilio_caller.py", url, *steps, "--connect-to", f"127.0.0.1:{port}", "--ca", self.tls[0],
                                   "--auth-token", "tok", "--log", caller_log, "--heard", self.folder / "heard.wav", "--longest-ms", 8000)
            _, complaint = await asyncio.wait_for(caller.communicate(), 15)
        self.assertEqual((0, b""), (caller.returncode, complaint))
        self.assertEqual({"path": "/calls/1", "host": "localhost", "signature": signature_of("tok", url)}, seen)
        await self.stop(server)
        self.assertEqual(0, server.returncode)
        self.check_the_call(*(timeline.read(path) for path in (caller_log, server_log)))

    async def stop(self, process):
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 10)

    def check_the_call(self, caller, server):
        self.assertEqual([], [line for line in server if line["event"] in ("violation", "broken")])
        self.assertGreater((self.folder / "heard.wav").stat().st_size, 16000)
        call = timeline.Call(caller, server)
        kinds = [kind for _, kind, _ in call.marks]
        self.assertEqual(["clear", "interruption", "keys", "tool", "truncate", "turn"], sorted(kinds))
        self.assertEqual(2, len(call.blocks))
        self.assertLess(call.blocks[0]["kept_ms"], call.blocks[0]["audio_ms"])
        svg = timeline.Drawing(call, "A <call> & more").svg()
        drawn = xml.dom.minidom.parseString(svg)
        texts = " ".join(each.firstChild.data for each in drawn.getElementsByTagName("text"))
        for text in ("A <call> & more", "Caller says", "Caller hears", "Model sends", "interruption", "s dropped", "truncate at",
                     "look_up", "keys 4#", "Where is it?"):
            self.assertIn(text, texts)

    async def test_wrong_usage(self):
        bad = self.folder / "bad.json"
        bad.write_text('{"responses": [{"sing": 1}]}')
        for name, arguments, what in (("realtime_server.py", ["--script", bad], b"sing"),
                                      ("twilio_caller.py", ["ws://x/", "--do", "sing"], b"sing"),
                                      ("twilio_caller.py", ["ws://x/", "--connect-to", "x"], b"HOST:PORT")):
            process = await program(name, *arguments)
            _, complaint = await asyncio.wait_for(process.communicate(), 10)
            self.assertEqual(2, process.returncode, name)
            self.assertIn(what, complaint)
            self.assertNotIn(b"Traceback", complaint)

    async def test_the_calendar_books_once_for_a_key(self):
        process = await program("calendar_server.py", "--fail-first", 1, "--log", self.folder / "calendar.jsonl")
        self.addCleanup(lambda: process.returncode is None and process.kill())
        url = f"http://127.0.0.1:{json.loads(await process.stdout.readline())['port']}"
        right = {"arguments": {"day": "Monday"}}
        for path, body, key, status in (("/book", right, "a", 503), ("/book", right, "a", 200), ("/book", right, "b", 200),
                                        ("/book", right, None, 400), ("/book", {"arguments": []}, "c", 422), ("/", right, "c", 404)):
            answered, answer = await asyncio.to_thread(post, url + path, body, key)
            self.assertEqual(status, answered, (path, body, key))
            if status == 200:
                self.assertEqual({"booked": True, "reference": "A-1" if key == "a" else "A-2", "day": "Monday"}, answer)
        events = [line["event"] for line in timeline.read(self.folder / "calendar.jsonl")]
        self.assertEqual(["booking", "failing", "repeated", "booking", "refused", "refused", "refused"], events)
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)

    async def test_nobody_there(self):
        process = await program("twilio_caller.py", "ws://127.0.0.1:1/x")
        out, complaint = await asyncio.wait_for(process.communicate(), 10)
        self.assertEqual((3, b""), (process.returncode, complaint))
        self.assertEqual("refused", json.loads(out.splitlines()[-1])["event"])
