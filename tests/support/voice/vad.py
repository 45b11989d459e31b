"""Voice activity detection as a scripted server needs it: by energy alone, so that a test knows what will count as speech.

Its clock is the audio: a position is milliseconds of audio appended since the session began, however fast that came.
"""

import audio

WINDOW_MS = 20
# Two windows in a row: one click is no speech.
LOUD_WINDOWS = 2
# `threshold` is 0..1 of a model's certainty; here it is taken as energy, so that the default 0.5 is an RMS of 500.
RMS_OF_THRESHOLD = 1000
# semantic_vad waits as long as the sentence seems unfinished; without a model, for what its eagerness stands for, shortened.
SEMANTIC_SILENCE_MS = {"low": 1000, "medium": 600, "auto": 600, "high": 300}


class Vad:
    def __init__(self, settings, form, at_ms=0):
        """`settings`: turn_detection of the session; `form`: audio.Format of what is fed; `at_ms`: where in the session's audio."""
        self.form = form
        self.start_ms = at_ms
        self.fed = 0
        self.threshold = settings.get("threshold", 0.5) * RMS_OF_THRESHOLD
        self.padding_ms = settings.get("prefix_padding_ms", 300)
        if settings["type"] == "semantic_vad":
            self.silence_ms = SEMANTIC_SILENCE_MS[settings.get("eagerness", "auto")]
        else:
            self.silence_ms = settings.get("silence_duration_ms", 500)
        self.speaking = False
        self._rest = b""
        self._window = form.bytes_of_ms(WINDOW_MS)
        self._loud = 0
        self._quiet_ms = 0

    @property
    def at_ms(self):
        return self.start_ms + self.form.ms(self.fed)

    def feed(self, data):
        """What happens within `data`: ("started", ms) where speech began less the padding, ("stopped", ms) where it ended."""
        self._rest += data
        happened = []
        while len(self._rest) >= self._window:
            window, self._rest = self._rest[:self._window], self._rest[self._window:]
            self.fed += len(window)
            self._judge(audio.rms(self.form.decode(window)) >= self.threshold, happened)
        return happened

    def _judge(self, loud, happened):
        if not self.speaking:
            self._loud = self._loud + 1 if loud else 0
            if self._loud >= LOUD_WINDOWS:
                self.speaking, self._quiet_ms = True, 0
                began = self.at_ms - LOUD_WINDOWS * WINDOW_MS
                happened.append(("started", max(self.start_ms, began - self.padding_ms)))
            return
        self._quiet_ms = 0 if loud else self._quiet_ms + WINDOW_MS
        if self._quiet_ms >= self.silence_ms:
            self.speaking, self._loud = False, 0
            happened.append(("stopped", self.at_ms))
