"""Audio, speech and voice activity detection by themselves."""

import math
import tempfile
import unittest
import warnings
from array import array
from pathlib import Path

import audio
import speech
from caller_playback import Playback
from vad import Vad

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import audioop
except ImportError:  # from Python 3.13 on
    audioop = None

ALL = array("h", range(-32768, 32768))


class AudioTest(unittest.TestCase):
    @unittest.skipUnless(audioop, "this Python has no audioop")
    def test_g711_is_that_of_audioop(self):
        every = bytes(range(256))
        for form, encode, decode in ((audio.PCMU, audioop.lin2ulaw, audioop.ulaw2lin), (audio.PCMA, audioop.lin2alaw, audioop.alaw2lin)):
            self.assertEqual(encode(ALL.tobytes(), 2), form.encode(ALL), form.name)
            self.assertEqual(decode(every, 2), form.decode(every).tobytes(), form.name)

    def test_g711_vectors(self):
        self.assertEqual(bytes([0xFF, 0x80, 0x00]), audio.PCMU.encode(array("h", [0, 32767, -32768])))
        self.assertEqual(bytes([0xD5, 0xAA, 0x2A]), audio.PCMA.encode(array("h", [0, 32767, -32768])))

    def test_resampling_keeps_what_fits_and_no_more(self):
        for rate, to in ((22050, 8000), (22050, 24000), (24000, 8000)):
            kept, cut = (audio.resample(audio.tone(hz, 500, rate), rate, to) for hz in (440, 7000))
            self.assertAlmostEqual(to // 2, len(kept), delta=1)
            self.assertAlmostEqual(audio.rms(audio.tone(440, 500, to)), audio.rms(kept), delta=50)
            crossings = sum(a < 0 <= b for a, b in zip(kept, kept[1:]))
            self.assertAlmostEqual(220, crossings, delta=2, msg="the pitch stays")
            self.assertEqual(to < 14000, audio.rms(cut) < 200, "what is above half the rate must not fold back")

    def test_wav(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tone.wav"
            audio.write_wav(path, audio.tone(440, 100, 8000), 8000)
            self.assertEqual(audio.tone(440, 100, 8000), speech.render({"wav": str(path)}, 8000))

    def test_speech_is_heard_and_the_same_each_time(self):
        said = speech.render("Hello, this is a test.", 8000)
        self.assertGreater(audio.rms(said), 1000)
        self.assertTrue(0.8 < len(said) / 8000 < 4)
        speech._speech.cache_clear()  # the second comes from the folder
        self.assertEqual(said, speech.render("Hello, this is a test.", 8000))

    def test_what_is_no_audio(self):
        for source in ("", 7, {}, {"tone_hz": 440}, {"tone_hz": 440, "ms": 0}, {"wav": "/nowhere.wav"}, {"silence_ms": 1 << 40}):
            with self.subTest(source), self.assertRaises(speech.BadSource):
                speech.render(source, 8000)


class VadTest(unittest.TestCase):
    def judged(self, form, *parts, cut=None, **settings):
        vad = Vad({"type": "server_vad", **settings}, form)
        data = b"".join(form.encode(part) for part in parts)
        cut = cut or len(data)
        return [each for at in range(0, len(data), cut) for each in vad.feed(data[at:at + cut])]

    def test_the_same_however_it_comes(self):
        for form in (audio.PCMU, audio.PCMA, audio.PCM):
            parts = [audio.tone(440, 400, form.rate, level) for level in (0, 0.3, 0, 0)]
            for cut in (None, 37 * form.sample_bytes, form.bytes_of_ms(20)):
                self.assertEqual([("started", 100), ("stopped", 1300)], self.judged(form, *parts, cut=cut), (form.name, cut))

    def test_settings(self):
        parts = [audio.tone(440, 400, 8000, level) for level in (0, 0.04, 0, 0.04, 0)]
        once = [("started", 400), ("stopped", 1000)]
        self.assertEqual(once + [("started", 1200), ("stopped", 1800)],
                         self.judged(audio.PCMU, *parts, prefix_padding_ms=0, silence_duration_ms=200))
        self.assertEqual([("started", 400)], self.judged(audio.PCMU, *parts, prefix_padding_ms=0, silence_duration_ms=500))
        self.assertEqual([], self.judged(audio.PCMU, *parts, threshold=1))

    def test_loudness(self):
        self.assertAlmostEqual(32767 * 0.4 / math.sqrt(2), audio.rms(audio.tone(440, 1000, 8000)), delta=5)


class PlaybackTest(unittest.TestCase):
    def test_order(self):
        playback = Playback()
        playback.add(b"a" * 250)
        playback.mark("one")
        playback.add(b"b" * 100)
        playback.mark("two")
        self.assertEqual((b"a" * 160, 160, []), playback.take(160))
        self.assertEqual((b"a" * 90 + b"b" * 70, 160, ["one"]), playback.take(160))
        self.assertEqual((30, ["two"]), playback.clear())
        self.assertEqual((b"\xff" * 160, 0, []), playback.take(160))
        self.assertEqual((350, 0), (playback.most_queued, playback.queued))
