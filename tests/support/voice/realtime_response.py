"""One response: its steps in the order of the script, each with the whole sequence of events of the API."""

import asyncio
import base64
import itertools
import json

import audio
import realtime_events as events
import speech
from realtime_faults import do_connection_step
from realtime_script import CONNECTION_STEPS

DEFAULT_CHUNK_MS = 200
DEFAULT_FACTOR = 8  # times real time: what is generated is far ahead of what is played
FLOOD_CHUNK_MS = 1000


class Ended(Exception):
    """A step ends the response before its time."""

    def __init__(self, status, details):
        super().__init__(status)
        self.status, self.details = status, details


class Response:
    def __init__(self, session, steps, settings):
        """`settings`: what response.create brought; it goes before the session's own."""
        self.session, self.steps, self.settings = session, steps, settings
        self.id = events.new_id("resp")
        self.in_conversation = settings.get("conversation", "auto") == "auto"
        self.modalities = settings.get("output_modalities") or session.settings["output_modalities"]
        form = settings.get("audio", {}).get("output", {}).get("format") or session.settings["audio"]["output"]["format"]
        self.form = audio.FORMATS[form["type"]]
        self.output = []
        self.audio_ms = self.text_out = 0
        self.closing = None  # (item, the function that ends it) while one is open
        self.over = False
        self.task = None

    async def start(self):
        await self._send("response.created", response=self._object("in_progress"))
        self.task = self.session.spawn(self._run)

    async def cancel(self, reason):
        """Ends it where it is, and tells so; what was generated stays in the conversation."""
        if self.over:
            return
        self.over = True
        if self.task:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self._finish("cancelled", {"type": "cancelled", "reason": reason})

    async def _run(self):
        status, details = "completed", None
        try:
            for step in self.steps:
                await self._step(step)
        except Ended as end:
            status, details = end.status, end.details
        if not self.over:
            self.over = True
            await self._finish(status, details)

    async def _finish(self, status, details):
        if self.closing:
            item, close = self.closing
            item["status"] = "completed" if status == "completed" else "incomplete"
            await close()
        self.session.response_ended(self, status)
        await self._send("response.done", response=self._object(status, details))
        await self._send("rate_limits.updated", rate_limits=events.RATE_LIMITS)
        await self.session.response_told()

    async def _step(self, step):
        if "say" in step:
            rate = self.form.rate
            samples = await asyncio.to_thread(speech.render, step["say"], rate)
            said = step.get("transcript", step["say"] if isinstance(step["say"], str) else "(sound)")
            chunk_ms, factor = step.get("chunk_ms", DEFAULT_CHUNK_MS), step.get("realtime_factor", DEFAULT_FACTOR)
            await self._say(said, _chunks(samples, max(1, int(rate * chunk_ms) // 1000)), factor)
        elif "flood_ms" in step:
            chunk_ms = int(step.get("chunk_ms", FLOOD_CHUNK_MS))
            one = audio.tone(440, chunk_ms, self.form.rate)
            await self._say("(flood)", (one for _ in range(int(step["flood_ms"]) // chunk_ms)), 0)
        elif "call" in step:
            await self._call(step["call"])
        elif "fail" in step:
            raise Ended("failed", {"type": "failed", "error": step["fail"]})
        elif "incomplete" in step:
            raise Ended("incomplete", {"type": "incomplete", "reason": step["incomplete"]})
        else:
            assert CONNECTION_STEPS & set(step), step
            await do_connection_step(self.session, step)

    async def _say(self, said, chunks, factor):
        """A message of its own: audio with its transcript, or text where the session wants that."""
        as_text = self.modalities == ["text"]
        item = events.message_item()
        ids = await self._open(item)
        part = {"type": "text", "text": ""} if as_text else {"type": "audio", "transcript": ""}
        content = {"type": "output_text", "text": ""} if as_text else {"type": "output_audio", "transcript": ""}
        item["content"].append(content)
        kind, key = ("output_text", "text") if as_text else ("output_audio_transcript", "transcript")
        ids = {**ids, "content_index": 0}
        await self._send("response.content_part.added", **ids, part=part)

        async def close():
            if not as_text:
                await self._send("response.output_audio.done", **ids)
            await self._send(f"response.{kind}.done", **ids, **{key: content[key]})
            await self._send("response.content_part.done", **ids, part={**part, key: content[key]})
            await self._close(item)

        self.closing = (item, close)
        words = (word + " " for word in said.split())
        if as_text:
            chunks = ()
        else:
            self.session.generated_ms[item["id"]] = 0
        begin, sent_bytes = asyncio.get_running_loop().time(), 0
        for chunk in chunks:
            if delta := "".join(word for word in itertools.islice(words, 3)):
                await self._delta(kind, key, ids, content, delta)
            data = self.form.encode(chunk)
            sent_bytes += len(data)
            self.session.generated_ms[item["id"]] = self.form.ms(sent_bytes)
            self.session.spoke = True
            await self._send("response.output_audio.delta", **ids, delta=base64.b64encode(data).decode())
            self.audio_ms += self.form.ms(len(data))
            if factor:
                ahead = begin + self.form.ms(sent_bytes) / 1000 / factor - asyncio.get_running_loop().time()
                await asyncio.sleep(max(0, ahead))
        for word in words:
            await self._delta(kind, key, ids, content, word)
        item["status"] = "completed"
        self.closing = None
        await close()

    async def _delta(self, kind, key, ids, content, delta):
        self.text_out += len(delta)
        content[key] += delta
        await self._send(f"response.{kind}.delta", **ids, delta=delta)

    async def _call(self, call):
        arguments = call["arguments"] if isinstance(call["arguments"], str) else json.dumps(call["arguments"])
        call_id = call.get("call_id") or events.new_id("call")
        item = events.call_item(call_id, call["name"])
        ids = {**await self._open(item), "call_id": call_id}

        async def close():
            await self._send("response.function_call_arguments.done", **ids, name=call["name"], arguments=item["arguments"])
            await self._close(item)

        self.closing = (item, close)
        self.session.calls.setdefault(call_id, False)
        for at in range(0, len(arguments), 16):
            item["arguments"] += arguments[at:at + 16]
            await self._send("response.function_call_arguments.delta", **ids, delta=arguments[at:at + 16])
        self.text_out += len(arguments)
        item["status"] = "completed"
        self.closing = None
        await close()

    async def _open(self, item):
        ids = {"response_id": self.id, "output_index": len(self.output)}
        self.output.append(item)
        await self._send("response.output_item.added", **ids, item=item)
        if self.in_conversation:
            await self.session.add_item(item)
        return {**ids, "item_id": item["id"]}

    async def _close(self, item):
        self.closing = None
        await self._send("response.output_item.done", response_id=self.id, output_index=self.output.index(item), item=item)
        if self.in_conversation:
            await self.session.item_done(item)

    def _object(self, status, details=None):
        done = status != "in_progress"
        return {
            "id": self.id, "object": "realtime.response", "status": status, "status_details": details, "output": self.output,
            "output_modalities": self.modalities, "conversation_id": self.session.conversation_id if self.in_conversation else None,
            "metadata": self.settings.get("metadata"),
            "usage": events.usage(int(self.session.input.heard), self.audio_ms, self.text_out) if done else None,
        }

    async def _send(self, kind, **fields):
        await self.session.send(kind, **fields)


def _chunks(samples, size):
    return (samples[at:at + size] for at in range(0, len(samples), size))
