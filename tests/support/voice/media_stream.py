"""A call as Twilio's Media Streams carries it: the messages of one stream, real time in both directions, playback as Twilio does it."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import json

import websockets

import audio
from caller_playback import Playback
from caller_rules import Violation, checked
from sockets import reset

FRAME_MS, FRAME = 20, 160
LEVEL_EVERY = 5  # frames
MOST_WAITING = 500  # messages to a server that does not read: ten seconds
SILENCE = bytes([audio.SILENCE_ULAW])


def signature_of(token, url):
    """As Twilio signs the handshake of a stream: the URL alone."""
    return base64.b64encode(hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()).decode()


class MediaStream:
    """`steps`: of caller_steps.parse. The journal gets the timeline; `heard` is all that was heard since the stream began, as mu-law."""

    def __init__(self, journal, steps, *, stream_sid, call_sid, account_sid, parameters, start_delay_ms=0,
                 media_before_start=False, longest_ms=600_000):
        self.journal, self.steps = journal, list(steps)
        self.stream_sid, self.call_sid, self.account_sid, self.parameters = stream_sid, call_sid, account_sid, parameters
        self.start_delay_ms, self.media_before_start, self.longest_ms = start_delay_ms, media_before_start, longest_ms
        self.too_long = False
        self.playback = Playback()
        self.heard = bytearray()
        self.counts = {"sent": 0, "received": 0, "marks": 0, "marks_returned": 0, "clears": 0, "violations": 0, "not_sent": 0}
        self.started = False
        self._sequence, self._chunk, self._tick = itertools.count(1), itertools.count(1), 0
        self._waiting = asyncio.Queue(MOST_WAITING)
        self._speech = b""  # what the current step has yet to say
        self._until = None  # when the current step is over
        self._muted = False
        self._empty_since = self._sound_ms = 0
        self._said = bytearray()
        self._over = False

    async def run(self, socket):
        """From `connected` to the end of the connection; the counts."""
        self.socket = socket
        jobs = [asyncio.create_task(job()) for job in (self._receive, self._send)]
        caller = asyncio.create_task(self._call())
        try:
            await asyncio.wait([caller, jobs[0]], return_when=asyncio.FIRST_COMPLETED)
            if caller.done():
                caller.result()  # what broke in it is told
        finally:
            for job in (caller, *jobs):
                job.cancel()
            await asyncio.gather(caller, *jobs, return_exceptions=True)
        return self.counts

    async def _call(self):
        self._put({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        if self.media_before_start:
            self._media(SILENCE * FRAME)
        await asyncio.sleep(self.start_delay_ms / 1000)
        self._start(self.stream_sid)
        self.started = True
        begin = asyncio.get_running_loop().time()
        while not self._over:
            frame = self._next_frame()
            if self._over:
                break
            if frame is not None:
                self._media(frame)
            self._play(frame)
            self._tick += 1
            await asyncio.sleep(max(0, begin + self._tick * FRAME_MS / 1000 - asyncio.get_running_loop().time()))
        if self._over == "stop":
            self._sequenced("stop", stop={"accountSid": self.account_sid, "callSid": self.call_sid})
            await self._drained()
            await self.socket.close(1000)
        elif self._over == "drop":
            reset(self.socket.transport)
        else:
            await self._drained()
            await self.socket.close(self._over)

    async def _drained(self):
        while not self._waiting.empty():
            await asyncio.sleep(0.005)

    # To the server.

    async def _send(self):
        while True:
            await self.socket.send(await self._waiting.get())

    def _put(self, message):
        try:
            self._waiting.put_nowait(message if isinstance(message, (str, bytes)) else json.dumps(message))
            self.counts["sent"] += 1
        except asyncio.QueueFull:
            self.counts["not_sent"] += 1

    def _sequenced(self, event, **fields):
        self.journal.write(event, **({} if event == "media" else fields))
        self._put({"event": event, "sequenceNumber": str(next(self._sequence)), "streamSid": self.stream_sid, **fields})

    def _start(self, stream_sid):
        start = {"accountSid": self.account_sid, "callSid": self.call_sid, "streamSid": stream_sid, "tracks": ["inbound"],
                 "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}, "customParameters": self.parameters}
        self.journal.write("start", stream_sid=stream_sid)
        self._put({"event": "start", "sequenceNumber": str(next(self._sequence)), "streamSid": stream_sid, "start": start})

    def _media(self, data, stream_sid=None, payload=None):
        media = {"track": "inbound", "chunk": str(next(self._chunk)), "timestamp": str(self._tick * FRAME_MS),
                 "payload": payload if payload is not None else base64.b64encode(data).decode()}
        sequence = str(next(self._sequence))
        self._put({"event": "media", "sequenceNumber": sequence, "streamSid": stream_sid or self.stream_sid, "media": media})

    # What the caller does.

    def _next_frame(self):
        """20 ms of what the caller says; None while muted. Steps that take no time are done on the way."""
        if self._tick * FRAME_MS >= self.longest_ms:
            self.too_long, self._over = True, "stop"
            self.journal.write("too_long")
            return None
        while not self._speech and not self._busy():
            if self._until is not None or self._muted:
                self._until, self._muted = None, False
                self.journal.write("step_end")
            if not self.steps:
                self._over = "stop"
                return None
            kind, value = self.steps.pop(0)
            self._begin(kind, value)
            if self._over:
                return None
        frame, self._speech = self._speech[:FRAME], self._speech[FRAME:]
        return None if self._muted else frame + SILENCE * (FRAME - len(frame))

    def _busy(self):
        return self._until is not None and not self._until()

    def _begin(self, kind, value):
        now = self._tick
        shown = f"{len(value) // 8} ms" if isinstance(value, bytes) else value
        self.journal.write("step", kind=kind, value=shown)
        if kind in ("say", "tone", "wav"):
            self._speech, self._until = value, lambda: True
        elif kind in ("silence", "mute"):
            self._muted = kind == "mute"
            self._until = lambda: (self._tick - now) * FRAME_MS >= value
        elif kind == "heard":
            goal = self._sound_ms + value
            self._until = lambda: self._sound_ms >= goal
        elif kind == "quiet":
            self._empty_since = now
            self._until = lambda: (self._tick - self._empty_since) * FRAME_MS >= value
        else:
            self._at_once(kind, value)

    def _at_once(self, kind, value):
        if kind in ("drop", "close"):
            self._over = value or "drop"
        elif kind == "dtmf":
            for digit in value:
                self._sequenced("dtmf", dtmf={"track": "inbound_track", "digit": digit})
        elif kind == "deaf":
            self.socket.transport.pause_reading()
            asyncio.get_running_loop().call_later(value / 1000, self.socket.transport.resume_reading)
        elif kind == "wrong_sid":
            self._media(SILENCE * FRAME, stream_sid="MZ" + "f" * 32)
        elif kind == "bad_base64":
            self._media(b"", payload="!!! this is no base64 !!!")
        elif kind == "payload":
            self._media(SILENCE * value)
        elif kind == "second_start":
            self._start("MZ" + "e" * 32)
        else:
            self._put({"no_json": "{no JSON", "no_object": "[1, 2]", "deep": "[" * 100_000, "binary": b"\x00\x01\x02",
                       "unknown": json.dumps({"event": "surprise", "streamSid": self.stream_sid}), "raw": value}[kind])

    # From the server.

    async def _receive(self):
        try:
            async for frame in self.socket:
                self.counts["received"] += 1
                try:
                    self._take(*checked(frame, self.stream_sid, self.started))
                except Violation as violation:
                    self.counts["violations"] += 1
                    self.journal.write("violation", rule=violation.rule, message=str(violation))
        except websockets.ConnectionClosed:
            pass

    def _take(self, event, value):
        if event == "media":
            self.playback.add(value)
            self.journal.write("media_received", audio_ms=len(value) // 8, queued_ms=self.playback.queued // 8)
        elif event == "mark":
            self.counts["marks"] += 1
            self.playback.mark(value)
            self.journal.write("mark_received", name=value)
        else:
            dropped, marks = self.playback.clear()
            self.counts["clears"] += 1
            self.journal.write("clear_received", dropped_ms=dropped // 8, marks=marks)
            self._return(marks)

    def _return(self, marks):
        for name in marks:
            self.counts["marks_returned"] += 1
            self._sequenced("mark", mark={"name": name})

    def _play(self, said):
        """20 ms pass: what is heard in them, and which marks were reached."""
        data, there, marks = self.playback.take(FRAME)
        self.heard += data
        if there:
            self._empty_since = self._tick + 1
        if audio.rms(audio.PCMU.decode(data)) > 30:
            self._sound_ms += FRAME_MS
        self._return(marks)
        self._said += said or b""
        if self._tick % LEVEL_EVERY == LEVEL_EVERY - 1:
            span = FRAME * LEVEL_EVERY
            levels = [round(audio.rms(audio.PCMU.decode(each)) / 32768, 3) for each in (self._said, self.heard[-span:])]
            self._said.clear()
            self.journal.write("level", said=levels[0], heard=levels[1])
