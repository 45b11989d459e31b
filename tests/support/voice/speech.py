"""What is said in a test: speech by espeak-ng, a tone, a WAV file or silence, as 16-bit samples at the rate that is wanted.

Speech is rendered once and kept, in memory and in $XDG_CACHE_HOME/postern-test-speech, since it costs a tenth of a second each time.
"""

import hashlib
import os
import subprocess
import tempfile
from array import array
from functools import lru_cache
from pathlib import Path

import audio

LONGEST_MS = 3_600_000


class BadSource(ValueError):
    """A script asks for audio that there is not; the text says what is allowed."""


def check(source):
    """Raises BadSource unless `render` would take it."""
    if isinstance(source, str) and source.strip():
        return
    if isinstance(source, dict):
        keys = set(source)
        if keys == {"tone_hz", "ms"} and all(isinstance(source[key], int) for key in keys) and 0 < source["ms"] <= LONGEST_MS:
            return
        if keys == {"silence_ms"} and isinstance(source["silence_ms"], int) and 0 < source["silence_ms"] <= LONGEST_MS:
            return
        if keys == {"wav"} and Path(str(source["wav"])).is_file():
            return
    raise BadSource(f'{source!r} is no audio: give "a text", {{"tone_hz": 440, "ms": 2000}}, {{"silence_ms": 500}} or {{"wav": "a file"}}')


def render(source, rate):
    check(source)
    if isinstance(source, str):
        return _speech(source, rate)
    if "tone_hz" in source:
        return audio.tone(source["tone_hz"], source["ms"], rate)
    if "silence_ms" in source:
        return array("h", bytes(2 * (rate * source["silence_ms"] // 1000)))
    return audio.read_wav(source["wav"], rate)


@lru_cache(maxsize=256)
def _speech(text, rate):
    samples = array("h")
    kept = _cache_folder() / (hashlib.sha256(f"{rate} {text}".encode()).hexdigest() + ".pcm")
    try:
        samples.frombytes(kept.read_bytes())
        return samples
    except (OSError, ValueError):
        samples = _speak(text, rate)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as part:
            part.write(samples.tobytes())
        os.replace(part.name, kept)
    except OSError:
        pass  # a folder that cannot be written only costs time
    return samples


def _speak(text, rate):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        # By standard input: a text that begins with "-" is no option.
        subprocess.run(["espeak-ng", "-v", "en-us", "-s", "160", "--stdin", "-w", str(path)], input=text.encode(), check=True, timeout=30)
        return audio.read_wav(path, rate)


def _cache_folder():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "postern-test-speech"
