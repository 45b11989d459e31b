"""The smallest bridge between the two stand-ins: what they are tried with together, and no more of a bridge than that takes.

It does what OpenAI's and Twilio's documents show: forwards audio, and on speech clears what is not played and truncates the item.
"""

import asyncio
import json

import websockets


class Bridge:
    def __init__(self, model_url, key, tls=None):
        self.model_url, self.headers, self.tls = model_url, {"Authorization": f"Bearer {key}"}, tls
        self.item = None
        self.item_began = self.item_ms = self.timestamp = 0
        self.marks = 0

    async def serve(self, caller):
        """The handler of a websockets server: one call."""
        async with websockets.connect(self.model_url, extra_headers=self.headers, ssl=self.tls, max_size=None, compression=None) as model:
            self.caller, self.model, self.sid = caller, model, None
            talk = [asyncio.create_task(self._from_caller()), asyncio.create_task(self._from_model())]
            done, rest = await asyncio.wait(talk, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            for task in done:
                task.result()

    async def _from_caller(self):
        async for frame in self.caller:
            message = json.loads(frame)
            if message["event"] == "start":
                self.sid = message["streamSid"]
                pcmu = {"format": {"type": "audio/pcmu"}}
                await self._tell("session.update", session={
                    "type": "realtime", "output_modalities": ["audio"],
                    "audio": {"input": {**pcmu, "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
                                        "transcription": {"model": "whisper-1"}}, "output": {**pcmu, "voice": "marin"}}})
            elif message["event"] == "media":
                self.timestamp = int(message["media"]["timestamp"])
                await self._tell("input_audio_buffer.append", audio=message["media"]["payload"])
            elif message["event"] == "mark":
                self.marks -= 1

    async def _from_model(self):
        async for frame in self.model:
            event = json.loads(frame)
            if event["type"] == "response.output_audio.delta":
                if event["item_id"] != self.item:
                    self.item, self.item_began, self.item_ms = event["item_id"], self.timestamp, 0
                self.item_ms += len(event["delta"]) * 3 // 4 // 8
                self.marks += 1
                await self._play("media", media={"payload": event["delta"]})
                await self._play("mark", mark={"name": event["event_id"]})
            elif event["type"] == "input_audio_buffer.speech_started" and self.marks:
                await self._play("clear")
                played = min(self.timestamp - self.item_began, self.item_ms - 2)
                await self._tell("conversation.item.truncate", item_id=self.item, content_index=0, audio_end_ms=max(0, played))
            elif event["type"] == "response.function_call_arguments.done":
                output = {"type": "function_call_output", "call_id": event["call_id"], "output": "{}"}
                await self._tell("conversation.item.create", item=output)
            elif event["type"] == "response.done" and any(each["type"] == "function_call" for each in event["response"]["output"]):
                await self._tell("response.create")

    async def _play(self, event, **fields):
        await self.caller.send(json.dumps({"event": event, "streamSid": self.sid, **fields}))

    async def _tell(self, kind, **fields):
        await self.model.send(json.dumps({"type": kind, **fields}))
