"""What the scripted server does: the sequences of events of the API, turns, interruptions, and all that a script can ask for."""

import asyncio
import base64
import json
import time

import websockets

import audio
from realtime_client import KEY, PCMU_SESSION, ServerTest, append, event, loud, quiet, tell, until, update, with_vad
from realtime_input import InputAudio
from realtime_script import BadScript, Script

CONFIGURED = {"type": "session.update", "session": PCMU_SESSION}
SPEAK = {"type": "response.create"}
TONE = {"say": {"tone_hz": 440, "ms": 400}, "transcript": "la la", "realtime_factor": 0}
LONG = {"say": {"tone_hz": 440, "ms": 20_000}, "realtime_factor": 1}
TURN = ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed",
        "conversation.item.added", "conversation.item.done", "response.created"]


def types(events):
    """In order, repeated ones once."""
    names = [each["type"] for each in events]
    return [name for n, name in enumerate(names) if n == 0 or names[n - 1] != name]


def audio_of(events):
    return b"".join(base64.b64decode(each["delta"]) for each in events if each["type"] == "response.output_audio.delta")


class ResponseTest(ServerTest):
    async def test_speech_has_the_whole_sequence(self):
        await self.server(responses=[TONE])
        socket = await self.ready(await self.connect(), CONFIGURED)
        await tell(socket, SPEAK)
        got = await until(socket, "rate_limits.updated")
        self.assertEqual(["response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added",
                          "response.output_audio_transcript.delta", "response.output_audio.delta", "response.output_audio.done",
                          "response.output_audio_transcript.done", "response.content_part.done", "response.output_item.done",
                          "conversation.item.done", "response.done", "rate_limits.updated"], types(got))
        self.assertEqual(len(got), len({each["event_id"] for each in got}), "event ids are unique")
        response = got[-2]["response"]
        self.assertEqual({response["id"]}, {each["response_id"] for each in got if "response_id" in each})
        self.assertEqual({response["output"][0]["id"]}, {each["item_id"] for each in got if "item_id" in each})
        self.assertEqual(audio.PCMU.encode(audio.tone(440, 400, 8000)), audio_of(got))
        self.assertEqual(("completed", "la la "), (response["status"], response["output"][0]["content"][0]["transcript"]))
        usage = response["usage"]
        self.assertEqual(8, usage["output_token_details"]["audio_tokens"])
        self.assertEqual(usage["input_tokens"] + usage["output_tokens"], usage["total_tokens"])

    async def test_audio_is_as_the_session_wants_it(self):
        await self.server(responses=[TONE])
        socket = await self.ready(await self.connect())  # audio/pcm is the default
        await tell(socket, SPEAK)
        self.assertEqual(audio.tone(440, 400, 24000).tobytes(), audio_of(await until(socket, "response.done")))
        await tell(socket, {"type": "response.create", "response": {"output_modalities": ["text"], "conversation": "none"}})
        got = await until(socket, "response.done")
        self.assertIn("response.output_text.done", types(got))
        self.assertFalse({"response.output_audio.delta", "conversation.item.added"} & set(types(got)))

    async def test_pace(self):
        await self.server(responses=[{"say": {"tone_hz": 440, "ms": 1200}, "realtime_factor": 4, "chunk_ms": 100}])
        socket = await self.ready(await self.connect(), CONFIGURED)
        await tell(socket, SPEAK)
        await until(socket, "response.output_audio.delta")
        begin = time.monotonic()
        got = await until(socket, "response.done")
        self.assertEqual(11, sum(each["type"] == "response.output_audio.delta" for each in got))
        self.assertGreater(time.monotonic() - begin, 0.25)

    async def test_flood_is_ten_minutes_at_once(self):
        await self.server(responses=[{"flood_ms": 600_000}])
        socket = await self.ready(await self.connect(), CONFIGURED)
        await tell(socket, SPEAK)
        self.assertEqual(600 * 8000, len(audio_of(await until(socket, "response.done"))))

    async def test_call(self):
        await self.server(responses=[{"call": {"name": "look", "arguments": {"order": "4711", "of": "Alice"}}}, TONE])
        socket = await self.ready(await self.connect())
        await tell(socket, SPEAK)
        got = await until(socket, "response.done")
        done = next(each for each in got if each["type"] == "response.function_call_arguments.done")
        deltas = [each["delta"] for each in got if each["type"] == "response.function_call_arguments.delta"]
        self.assertEqual(done["arguments"], "".join(deltas))
        item = got[-1]["response"]["output"][0]
        self.assertEqual(("function_call", "look"), (item["type"], item["name"]))
        self.assertEqual({"order": "4711", "of": "Alice"}, json.loads(item["arguments"]))
        output = {"type": "function_call_output", "call_id": item["call_id"], "output": "{}"}
        await tell(socket, {"type": "conversation.item.create", "item": output})
        await tell(socket, SPEAK)
        self.assertEqual("message", (await until(socket, "response.done"))[-1]["response"]["output"][0]["type"])

    async def test_how_a_response_can_end(self):
        failed, short = {"type": "server_error", "code": "boom"}, {"incomplete": "content_filter"}
        await self.server(responses=[{"fail": failed}, [TONE, short], [{"stall_ms": 60_000}], {"error": "rate_limit_exceeded"}])
        socket = await self.ready(await self.connect())
        for status, details in (("failed", {"type": "failed", "error": failed}),
                                ("incomplete", {"type": "incomplete", "reason": "content_filter"})):
            await tell(socket, SPEAK)
            response = (await until(socket, "response.done"))[-1]["response"]
            self.assertEqual((status, details), (response["status"], response["status_details"]))
        await tell(socket, SPEAK)
        await tell(socket, {"type": "response.cancel"})
        response = (await until(socket, "response.done"))[-1]["response"]
        self.assertEqual(("cancelled", "client_cancelled"), (response["status"], response["status_details"]["reason"]))
        await tell(socket, SPEAK)
        self.assertEqual("rate_limit_exceeded", (await until(socket, "error"))[-1]["error"]["code"])


class TurnTest(ServerTest):
    async def test_a_turn(self):
        await self.server(responses=[TONE], transcripts=["Where is it?", {"type": "x", "message": "no"}])
        socket = await self.ready(await self.connect(), update(audio={"input": {
            "format": {"type": "audio/pcmu"}, "transcription": {"model": "whisper-1"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 200}}}))
        for part in (quiet(1000), loud(400), quiet(180)):
            await tell(socket, append(part))
        await tell(socket, append(quiet(20)))
        got = await until(socket, "response.created")
        self.assertEqual(TURN, [name for name in types(got) if "transcription" not in name])
        self.assertEqual((700, 1600), (got[0]["audio_start_ms"], got[1]["audio_end_ms"]))
        self.assertEqual(1, len({each.get("item_id") or each["item"]["id"] for each in got[:5]}))
        if "conversation.item.input_audio_transcription.completed" not in types(got):
            got += await until(socket, "conversation.item.input_audio_transcription.completed")
        self.assertEqual(["Where is it?"], [each["transcript"] for each in got if each["type"].endswith("transcription.completed")])
        await tell(socket, append(loud(400) + quiet(400)))
        await until(socket, "conversation.item.input_audio_transcription.failed")

    async def test_silence_and_a_click_are_no_turn(self):
        await self.server()
        socket = await self.ready(await self.connect(), with_vad())
        await tell(socket, append(quiet(400) + loud(20) + quiet(2000)))
        await tell(socket, update(instructions="now"))
        self.assertEqual("session.updated", (await event(socket))["type"])

    async def interrupted(self, **detection):
        await self.server(responses=[LONG, TONE])
        socket = await self.ready(await self.connect(), with_vad(silence_duration_ms=200, **detection))
        await tell(socket, SPEAK)
        await until(socket, "response.output_audio.delta")
        await tell(socket, append(quiet(100) + loud(300)))
        return socket, await until(socket, "input_audio_buffer.speech_started")

    async def test_speech_cancels_the_response(self):
        socket, _ = await self.interrupted()
        got = await until(socket, "response.done")
        self.assertEqual(["response.output_audio.done", "response.output_audio_transcript.done", "response.content_part.done",
                          "response.output_item.done", "conversation.item.done", "response.done"], types(got))
        response = got[-1]["response"]
        self.assertEqual(("cancelled", "turn_detected"), (response["status"], response["status_details"]["reason"]))
        self.assertEqual("incomplete", response["output"][0]["status"])
        await tell(socket, append(quiet(300)))
        self.assertEqual("completed", (await until(socket, "response.done"))[-1]["response"]["status"])

    async def test_unless_it_is_not_to(self):
        socket, _ = await self.interrupted(interrupt_response=False)
        await tell(socket, append(quiet(300)))
        got = await until(socket, "conversation.item.done")
        got += await until(socket, "response.output_audio.delta")
        self.assertFalse({"response.done", "response.created"} & set(types(got)), "the long one goes on, and its successor waits")
        await tell(socket, {"type": "response.cancel"})
        await until(socket, "response.created")

    async def test_no_response_is_created_unless_wanted(self):
        await self.server()
        socket = await self.ready(await self.connect(), with_vad(create_response=False, silence_duration_ms=200))
        await tell(socket, append(loud(400) + quiet(400)))
        await tell(socket, update(instructions="now"))
        self.assertNotIn("response.created", types(await until(socket, "session.updated")))

    async def test_a_long_silence_is_a_turn_where_the_session_says_so(self):
        await self.server(responses=[TONE, LONG])
        socket = await self.ready(await self.connect(), with_vad(idle_timeout_ms=5000))
        original = InputAudio.response_done

        def sooner(own, audio_ms):  # five seconds is the least that a session may ask for
            own.detection["idle_timeout_ms"] = 100
            original(own, audio_ms)

        InputAudio.response_done = sooner
        self.addCleanup(setattr, InputAudio, "response_done", original)
        await tell(socket, SPEAK)
        got = await until(socket, "input_audio_buffer.committed")
        self.assertIn("input_audio_buffer.timeout_triggered", types(got))
        await until(socket, "response.created")


class ConnectionTest(ServerTest):
    async def test_how_a_connection_can_begin(self):
        for status in (401, 403, 500):
            await self.server(on_connect={"refuse": status, "headers": {"Retry-After": "7"}})
            with self.assertRaises(websockets.InvalidStatusCode) as refusal:
                await self.connect()
            self.assertEqual((status, "7"), (refusal.exception.status_code, refusal.exception.headers["Retry-After"]))
        await self.server(on_connect={"hang": True})
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(self.connect(), 0.3)
        await self.told("gave_up")
        await self.server(on_connect={"drop": True})
        with self.assertRaises((OSError, EOFError, websockets.InvalidMessage)):
            await self.connect()
        await self.server(on_connect={"close": 1013})
        socket = await self.connect()
        await socket.wait_closed()
        self.assertEqual(1013, socket.close_code)

    async def test_how_it_can_end(self):
        for step, code in (({"drop": True}, 1006), ({"close": 4000, "reason": "so"}, 4000), ({"close": 1001}, 1001)):
            for script in ({"responses": [step]}, {"timers": [{"after_ms": 30, "do": step}]}):
                with self.subTest(step=step, script=script):
                    await self.server(**script)
                    socket = await self.ready(await self.connect())
                    if "responses" in script:
                        await tell(socket, SPEAK)
                    await asyncio.wait_for(socket.wait_closed(), 5)
                    self.assertEqual(code, socket.close_code)
                    await self.told("close")
                    self.assertEqual([], self.journal("violation") + self.journal("broken"))

    async def test_garbage(self):
        unknown = {"type": "response.surprise", "x": 1}
        for step, check in (({"garbage": "{no JSON"}, "{no JSON".__eq__), ({"garbage": {"binary": 3}}, bytes(3).__eq__),
                            ({"garbage": {"huge": 5 << 20}}, lambda frame: len(frame) == 5 << 20),
                            ({"event": unknown}, lambda frame: unknown.items() <= json.loads(frame).items())):
            await self.server(timers=[{"after_ms": 1, "do": step}])
            socket = await self.ready(await self.connect())
            self.assertTrue(check(await asyncio.wait_for(socket.recv(), 5)), step)
        await self.server(timers=[{"after_ms": 1, "do": {"garbage": {"raw": base64.b64encode(b"\xff\x00").decode()}}}])
        socket = await self.ready(await self.connect())
        await asyncio.wait_for(socket.wait_closed(), 5)
        self.assertEqual(1002, socket.close_sent.code)

    async def test_renewals_go_on_where_the_first_ended(self):
        calls = [{"call": {"name": name, "arguments": {}}} for name in "abcd"]
        for renewals, names in ((None, "aaa"), ([{}], "abc"), ([{"responses": [calls[3]]}, {}], "ad")):
            await self.server(responses=calls[:3], otherwise=calls[0], **({"renewals": renewals} if renewals else {}))
            for name in names:
                socket = await self.ready(await self.connect())
                await tell(socket, SPEAK)
                self.assertEqual(name, (await until(socket, "response.done"))[-1]["response"]["output"][0]["name"])

    async def test_the_journal_has_no_secret_and_no_audio(self):
        await self.server()
        socket = await self.ready(await self.connect("/v1/realtime?call_id=rtc_1"), CONFIGURED)
        await tell(socket, append(b"\x01" * 8000))
        await socket.close(4321, "enough")
        close = (await self.told("close"))[0]
        self.assertEqual(("client", 4321, "enough"), (close["by"], close["code"], close["reason"]))
        self.assertEqual("expected", self.journal("handshake")[0]["bearer"])
        self.assertNotIn(KEY, self.lines.getvalue())
        self.assertNotIn("AQEBAQEB", self.lines.getvalue())
        self.assertEqual([10668], [line["audio_chars"] for line in self.journal("client") if "append" in line["type"]])


class ScriptTest(ServerTest):
    def test_mistakes_are_told(self):
        for script in ([], {"surprise": 1}, {"responses": [{"sing": "x"}]}, {"responses": [{"say": 1}]},
                       {"responses": [{"say": "x", "loud": 1}]},
                       {"responses": [{"close": 1}]}, {"responses": [{"garbage": {"huge": 1 << 40}}]}, {"timers": [{"do": {"drop": True}}]},
                       {"timers": [{"after_ms": 1, "do": {"say": "x"}}]}, {"renewals": [{"surprise": 1}]}, {"on_connect": {"explode": 1}},
                       {"responses": [{"error": "no_such_error"}]}, {"responses": [{"say": "x", "chunk_ms": 0}]},
                       {"on_connect": {"refuse": 999}}, {"on_connect": {"close": 1}},
                       {"timers": [{"after_ms": "1", "do": {"drop": True}}]}):
            with self.subTest(script), self.assertRaises(BadScript):
                Script(script)
