"""The input audio of a session: what is appended, who begins and ends a turn, and what becomes of it."""

import asyncio
import base64
import binascii

import audio
import realtime_events as events
from realtime_rules import Fault
from vad import Vad

MOST_APPEND = 15 << 20
TRANSCRIPTION = "conversation.item.input_audio_transcription"


class InputAudio:
    def __init__(self, session):
        self.session = session
        self.heard = 0.0  # ms since the session began
        self.buffered = 0.0  # ms since the last commit
        self.speech_item = None
        self._idle = None
        self.configure()

    def configure(self):
        """After a change of format or turn detection."""
        settings = self.session.settings["audio"]["input"]
        self.form = audio.FORMATS[settings["format"]["type"]]
        self.detection = settings["turn_detection"]
        self.vad = Vad(self.detection, self.form, int(self.heard)) if self.detection else None

    def close(self):
        if self._idle:
            self._idle.cancel()

    async def append(self, event):
        try:
            data = base64.b64decode(event["audio"].encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise Fault("append.base64", "invalid_value", f"Invalid 'audio': {error}.", "audio") from error
        if not data:
            raise Fault("append.base64", "invalid_value", "Invalid 'audio': it is empty.", "audio")
        if len(data) > MOST_APPEND:
            raise Fault("append.size", "invalid_value", "Invalid 'audio': more than 15 MiB.", "audio")
        if len(data) % self.form.sample_bytes:
            raise Fault("append.samples", "invalid_value", f"Invalid 'audio': {len(data)} bytes are no whole samples.", "audio")
        ms = len(data) * 1000 / (self.form.rate * self.form.sample_bytes)
        self.heard += ms
        self.buffered += ms
        if self.vad is None or not self.session.plan.vad:
            return
        for what, at_ms in self.vad.feed(data):
            await (self._speech_started(at_ms) if what == "started" else self._speech_stopped(at_ms))

    async def commit(self, _event):
        if self.vad is not None:
            raise Fault("commit.vad", "invalid_request", "The buffer is committed by turn detection.")
        if not self.buffered:
            raise Fault("commit.empty", "input_audio_buffer_commit_empty", "Error committing input audio buffer: the buffer is empty.")
        await self._committed(events.user_audio_item())

    async def clear(self, _event):
        self.buffered = 0.0
        self.configure()
        await self.session.send("input_audio_buffer.cleared")

    async def _speech_started(self, at_ms):
        self.speech_item = events.user_audio_item()
        self.close()
        await self.session.send("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self.speech_item["id"])
        if self.session.active and self.detection["interrupt_response"]:
            await self.session.active.cancel("turn_detected")

    async def _speech_stopped(self, at_ms):
        await self.session.send("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self.speech_item["id"])
        await self._turn(self.speech_item)

    async def _turn(self, item):
        await self._committed(item)
        if self.detection["create_response"]:
            await self.session.answer_turn()

    async def _committed(self, item):
        ms, self.buffered = self.buffered, 0.0
        await self.session.send("input_audio_buffer.committed", item_id=item["id"], previous_item_id=self.session.last_item())
        await self.session.add_item(item)
        await self.session.item_done(item)
        if self.session.settings["audio"]["input"]["transcription"]:
            self.session.spawn(self._transcribe, item, self.session.plan.next_transcript(), ms / 1000)

    async def _transcribe(self, item, transcript, seconds):
        ids = {"item_id": item["id"], "content_index": 0}
        if isinstance(transcript, dict):
            await self.session.send(f"{TRANSCRIPTION}.failed", **ids, error=transcript)
            return
        for word in transcript.split(" "):
            await self.session.send(f"{TRANSCRIPTION}.delta", **ids, delta=word + " ")
        item["content"][0]["transcript"] = transcript
        await self.session.send(f"{TRANSCRIPTION}.completed", **ids, transcript=transcript,
                                usage={"type": "duration", "seconds": round(seconds, 2)})

    def response_done(self, audio_ms):
        """Starts the wait of idle_timeout_ms, which counts from the end of the response's audio as it would be played."""
        self.close()
        if self.detection and self.detection.get("idle_timeout_ms") and audio_ms:
            wait = (audio_ms + self.detection["idle_timeout_ms"]) / 1000
            self._idle = asyncio.get_running_loop().call_later(wait, self.session.spawn, self._timed_out)

    async def _timed_out(self):
        if self.session.active or (self.vad and self.vad.speaking):
            return
        item = events.user_audio_item()
        start, end = int(self.heard - self.buffered), int(self.heard)
        await self.session.send("input_audio_buffer.timeout_triggered", audio_start_ms=start, audio_end_ms=end, item_id=item["id"])
        await self._turn(item)
