"""Each rule that the scripted server holds its client to: broken once, it is answered and told; kept, nothing is."""

import json

import websockets

from realtime_client import PCMU_SESSION, ServerTest, append, event, tell, until, update
from realtime_input import MOST_APPEND
from realtime_rules import BENIGN, RULES

CONFIGURED = {"type": "session.update", "session": PCMU_SESSION}
SPEAK = {"type": "response.create"}
CALL_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "{}"}
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}


def create(item, **more):
    return {"type": "conversation.item.create", "item": item, **more}


def truncate(item_id="ITEM", content_index=0, audio_end_ms=100):
    return {"type": "conversation.item.truncate", "item_id": item_id, "content_index": content_index, "audio_end_ms": audio_end_ms}


# (rule, code, frames before, the frame that breaks it). ITEM stands for the id of the message that the response before it made.
BROKEN = [
    ("frame.binary", "invalid_request", [], b"\x00\x01"),
    ("frame.json", "invalid_json", [], "{"),
    ("frame.json", "invalid_json", [], "[]"),
    ("frame.json", "invalid_json", [], '{"type":"response.cancel","type":"response.cancel"}'),
    ("frame.json", "invalid_json", [], '{"type":"response.cancel","event_id":NaN}'),
    ("frame.json", "invalid_json", [], "[" * 100_000),
    ("event.type", "invalid_value", [], {"type": "response.audio.delta"}),
    ("event.type", "invalid_value", [], {"no": "type"}),
    ("event.type", "invalid_value", [], {"type": ["response.create"]}),
    ("event.beta", "beta_api_shape_disabled", [], update(voice="alloy")),
    ("event.beta", "beta_api_shape_disabled", [], update(turn_detection=None)),
    ("event.beta", "beta_api_shape_disabled", [], update(input_audio_format="g711_ulaw")),
    ("event.beta", "beta_api_shape_disabled", [], update(audio={"input": {"format": "g711_ulaw"}})),
    ("event.beta", "beta_api_shape_disabled", [], {"type": "response.create", "response": {"modalities": ["audio"]}}),
    ("event.unknown_key", "unknown_parameter", [], {"type": "response.create", "surprise": 1}),
    ("event.unknown_key", "unknown_parameter", [], update(surprise=1)),
    ("event.unknown_key", "unknown_parameter", [], update(audio={"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}})),
    ("event.unknown_key", "unknown_parameter", [], update(audio={"input": {"format": {"type": "audio/pcmu", "rate": 8000}}})),
    ("event.missing_key", "missing_required_parameter", [], {"type": "input_audio_buffer.append"}),
    ("event.missing_key", "missing_required_parameter", [], update(audio={"input": {"format": {"type": "audio/pcm"}}})),
    ("event.missing_key", "missing_required_parameter", [], {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0}),
    ("event.value", "invalid_type", [], {"type": "input_audio_buffer.append", "audio": 1}),
    ("event.value", "invalid_value", [], truncate(audio_end_ms=-1)),
    ("event.value", "invalid_type", [], truncate(audio_end_ms=1.5)),
    ("event.value", "invalid_type", [], truncate(audio_end_ms=True)),
    ("event.value", "invalid_value", [], update(output_modalities=["audio", "text"])),
    ("event.value", "invalid_value", [], update(audio={"output": {"speed": 2}})),
    ("event.value", "invalid_value", [], create({**ITEM, "content": [{"type": "output_text", "text": "x"}]})),
    ("event.value", "invalid_value", [], update(audio={"input": {"format": {"type": "audio/pcm", "rate": 8000}}})),
    ("session.type", "missing_required_parameter", [], {"type": "session.update", "session": {"instructions": "x"}}),
    ("session.type", "invalid_value", [], {"type": "session.update", "session": {"type": "transcription"}}),
    ("session.model", "invalid_value", [], update(model="gpt-realtime-mini")),
    ("session.voice", "cannot_update_voice", [SPEAK], update(audio={"output": {"voice": "cedar"}})),
    ("append.base64", "invalid_value", [], {"type": "input_audio_buffer.append", "audio": "not base64!"}),
    ("append.base64", "invalid_value", [], {"type": "input_audio_buffer.append", "audio": "AAA"}),
    ("append.base64", "invalid_value", [], {"type": "input_audio_buffer.append", "audio": ""}),
    ("append.base64", "invalid_value", [], {"type": "input_audio_buffer.append", "audio": "__--"}),
    ("append.samples", "invalid_value", [update(audio={"input": {"format": {"type": "audio/pcm", "rate": 24000}}})], append(b"123")),
    ("append.size", "invalid_value", [], append(bytes(MOST_APPEND + 2))),
    ("commit.vad", "invalid_request", [update(audio={"input": {"turn_detection": {"type": "server_vad"}}})],
     {"type": "input_audio_buffer.commit"}),
    ("commit.empty", "input_audio_buffer_commit_empty", [], {"type": "input_audio_buffer.commit"}),
    ("item.id", "invalid_value", [create({**ITEM, "id": "one"})], create({**ITEM, "id": "one"})),
    ("item.unknown", "item_not_found", [], truncate("item_nobody")),
    ("item.unknown", "item_not_found", [], {"type": "conversation.item.delete", "item_id": "item_nobody"}),
    ("item.unknown", "item_not_found", [], create(ITEM, previous_item_id="item_nobody")),
    ("item.call_id", "invalid_tool_call_id", [], create({**CALL_OUTPUT, "call_id": "call_nobody"})),
    ("item.answered", "invalid_tool_call_id",
     [create({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}), create(CALL_OUTPUT)], create(CALL_OUTPUT)),
    ("truncate.item", "invalid_value", [create({**ITEM, "id": "mine"})], truncate("mine")),
    ("truncate.content_index", "invalid_value", [SPEAK], truncate(content_index=1)),
    ("truncate.past_end", "invalid_value", [SPEAK], truncate(audio_end_ms=401)),
    ("truncate.past_end", "invalid_value", [SPEAK, truncate(audio_end_ms=200)], truncate(audio_end_ms=201)),
    ("output_buffer", "invalid_request", [], {"type": "output_audio_buffer.clear"}),
    ("cancel.not_active", "response_cancel_not_active", [], {"type": "response.cancel"}),
    ("cancel.not_active", "response_cancel_not_active", [], {"type": "response.cancel", "response_id": "resp_nobody"}),
    ("response.active", "conversation_already_has_active_response", [SPEAK, SPEAK], SPEAK),
]
HANDSHAKES = [
    ("handshake.path", 404, {"target": "/v2/realtime?model=gpt-realtime"}),
    ("handshake.bearer", 401, {"key": "sk-wrong"}),
    ("handshake.bearer", 401, {"key": None}),
    ("handshake.query", 400, {"target": "/v1/realtime"}),
    ("handshake.query", 400, {"target": "/v1/realtime?model="}),
    ("handshake.query", 400, {"target": "/v1/realtime?model=a&call_id=rtc_1"}),
]


class RulesTest(ServerTest):
    async def test_each_rule_is_told_when_it_is_broken(self):
        for rule, code, before, breaking in BROKEN:
            with self.subTest(rule=rule, frame=str(breaking)[:100]):
                await self.break_one(rule, code, before, breaking)

    async def break_one(self, rule, code, before, breaking):
        await self.server(responses=[{"say": {"tone_hz": 440, "ms": 400}, "realtime_factor": 0}, {"stall_ms": 10_000}])
        socket = await self.ready(await self.connect(), CONFIGURED)
        item = None
        for number, frame in enumerate(before):
            await tell(socket, json.dumps(frame).replace("ITEM", item or "ITEM"))
            if frame is SPEAK and number == 0:
                item = (await until(socket, "response.done"))[-1]["response"]["output"][0]["id"]
        self.assertEqual([], self.journal("violation") + self.journal("benign"), "before it was broken")
        if isinstance(breaking, dict):
            breaking = json.dumps({**breaking, "event_id": "mine"}).replace("ITEM", item or "ITEM")
        await tell(socket, breaking)
        error = (await until(socket, "error"))[-1]["error"]
        self.assertEqual(code, error["code"], error["message"])
        self.assertEqual("mine" if isinstance(breaking, str) and '"mine"' in breaking else None, error["event_id"])
        told = self.journal("benign" if rule in BENIGN else "violation")
        self.assertEqual([rule], [line["rule"] for line in told])
        await tell(socket, update(instructions="Still there?"))
        await until(socket, "session.updated")
        await socket.close()

    async def test_frames_that_are_no_websocket_end_the_connection(self):
        for name, raw in (("unmasked", b"\x81\x02{}"), ("no UTF-8", b"\x81\x81\x00\x00\x00\x00\xff"),
                          ("reserved bit", b"\xc1\x80\x00\x00\x00\x00"),
                          ("25 MiB", b"\x81\xff" + (25 << 20).to_bytes(8, "big") + b"\x00" * 4)):
            with self.subTest(name):
                await self.server()
                socket = await self.ready(await self.connect())
                socket.transport.write(raw)
                await socket.wait_closed()
                self.assertEqual("server", (await self.told("close"))[0]["by"])
                self.assertEqual(["frame.websocket"], [line["rule"] for line in self.journal("violation")])

    async def test_handshakes(self):
        for rule, status, how in HANDSHAKES:
            with self.subTest(rule=rule, how=how):
                await self.server()
                with self.assertRaises(websockets.InvalidStatusCode) as refusal:
                    await self.connect(**how)
                self.assertEqual(status, refusal.exception.status_code)
                self.assertEqual([rule], [line["rule"] for line in self.journal("violation")])
                self.assertNotIn("sk-", self.lines.getvalue())

    async def test_the_beta_is_refused(self):
        await self.server()
        socket = await self.connect(**{"OpenAI-Beta": "realtime=v1"})
        self.assertEqual("beta_api_shape_disabled", (await event(socket))["error"]["code"])
        await socket.wait_closed()
        self.assertEqual(4000, socket.close_code)
        self.assertEqual(["handshake.beta"], [line["rule"] for line in self.journal("violation")])

    def test_no_rule_is_left_out(self):
        tested = {row[0] for row in BROKEN + HANDSHAKES} | {"handshake.beta", "frame.websocket"}
        self.assertEqual(set(RULES) | set(BENIGN), tested)

    async def test_a_right_client_breaks_none(self):
        await self.server(responses=[{"call": {"name": "look", "arguments": {"at": 1}, "call_id": "call_1"}},
                                     {"say": {"tone_hz": 440, "ms": 400}, "realtime_factor": 0}])
        tools = [{"type": "function", "name": "look", "description": "d", "parameters": {"type": "object", "properties": {}}}]
        socket = await self.ready(await self.connect(), CONFIGURED, update(
            instructions="Be brief.", tools=tools, tool_choice={"type": "function", "name": "look"}, max_output_tokens=100,
            output_modalities=["audio"], truncation={"type": "retention_ratio", "retention_ratio": 0.8}, model="gpt-realtime",
            audio={"input": {"noise_reduction": {"type": "near_field"}, "transcription": {"model": "whisper-1", "language": "en"}},
                   "output": {"voice": "cedar", "speed": 1.25}}))
        for frame in (append(b"\xff" * 160), {"type": "input_audio_buffer.commit"}, create(ITEM),
                      create({**ITEM, "id": "first"}, previous_item_id="root"), {"type": "conversation.item.retrieve", "item_id": "first"},
                      {"type": "conversation.item.delete", "item_id": "first"}, {"type": "input_audio_buffer.clear"}, SPEAK):
            await tell(socket, frame)
        await until(socket, "response.done")
        await tell(socket, create(CALL_OUTPUT))
        own = {"instructions": "Now.", "metadata": {"a": "b"}, "conversation": "auto"}
        await tell(socket, {"type": "response.create", "response": own})
        item = (await until(socket, "response.done"))[-1]["response"]["output"][0]["id"]
        await tell(socket, truncate(item, audio_end_ms=400))
        await until(socket, "conversation.item.truncated")
        self.assertEqual([], self.journal("violation") + self.journal("benign") + self.journal("broken"))
