"""Audio as both ends of a voice call have it: G.711 at 8 kHz and 16-bit PCM at 24 kHz, and the ways between them.

Written out here and not taken from `audioop`, which Python 3.13 no longer has; selftest.py compares the two where it is there.
"""

import math
import wave
from array import array
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from typing import Callable

SILENCE_ULAW = 0xFF


def _ulaw_of(sample):
    sample >>= 2  # 14 bits
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 8158) + 33
    exponent = magnitude.bit_length() - 6
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 1)) & 0x0F) & 0xFF


def _sample_of_ulaw(byte):
    byte = ~byte & 0xFF
    magnitude = ((((byte & 0x0F) << 3) + 132) << ((byte >> 4) & 7)) - 132
    return -magnitude if byte & 0x80 else magnitude


def _alaw_of(sample):
    sample >>= 3  # 13 bits
    sign = 0x80 if sample >= 0 else 0
    magnitude = sample if sample >= 0 else ~sample
    exponent = max(0, magnitude.bit_length() - 5)
    return (sign | exponent << 4 | (magnitude >> max(1, exponent)) & 0x0F) ^ 0x55


def _sample_of_alaw(byte):
    byte ^= 0x55
    exponent, mantissa = (byte >> 4) & 7, byte & 0x0F
    magnitude = (mantissa << 4) + 8
    if exponent:
        magnitude = (magnitude + 0x100) << (exponent - 1)
    return magnitude if byte & 0x80 else -magnitude


def _encoder(of):
    table = bytes(of(n - 0x10000 if n & 0x8000 else n) for n in range(0x10000))
    return lambda samples: bytes(map(table.__getitem__, memoryview(samples).cast("B").cast("H")))


def _decoder(of):
    table = [of(byte) for byte in range(256)]
    return lambda data: array("h", map(table.__getitem__, data))


def _pcm_samples(data):
    samples = array("h")
    samples.frombytes(data)
    return samples


@dataclass(frozen=True)
class Format:
    """One encoding: how many samples a second, how many bytes each, and both ways to 16-bit samples."""

    name: str
    rate: int
    sample_bytes: int
    encode: Callable
    decode: Callable

    def ms(self, byte_count):
        return byte_count * 1000 // (self.rate * self.sample_bytes)

    def bytes_of_ms(self, ms):
        return ms * self.rate // 1000 * self.sample_bytes


PCMU = Format("audio/pcmu", 8000, 1, _encoder(_ulaw_of), _decoder(_sample_of_ulaw))
PCMA = Format("audio/pcma", 8000, 1, _encoder(_alaw_of), _decoder(_sample_of_alaw))
PCM = Format("audio/pcm", 24000, 2, lambda samples: samples.tobytes(), _pcm_samples)
FORMATS = {each.name: each for each in (PCMU, PCMA, PCM)}


def rms(samples):
    """The root of the mean square: 0 is silence, a full sine is 23170."""
    return math.sqrt(sum(map(mul, samples, samples)) / len(samples)) if samples else 0.0


def tone(hz, ms, rate, level=0.4):
    step = 2 * math.pi * hz / rate
    return array("h", (int(32767 * level * math.sin(step * n)) for n in range(rate * ms // 1000)))


@lru_cache(maxsize=8)
def _kernels(up, down):
    """A low-pass for each of the `up` places that an output sample can have between two input samples: a sinc under a Hann window."""
    cutoff = min(1.0, up / down)
    reach = math.ceil(12 / cutoff)
    kernels = []
    for phase in range(up):
        taps = []
        for n in range(-reach + 1, reach + 1):
            x = n - phase / up
            ideal = cutoff * (math.sin(math.pi * cutoff * x) / (math.pi * cutoff * x) if x else 1.0)
            taps.append(ideal * (0.5 + 0.5 * math.cos(math.pi * x / (reach + 1))))
        whole = sum(taps)
        kernels.append([tap / whole for tap in taps])
    return reach, kernels


def resample(samples, rate, to):
    if rate == to or not samples:
        return samples
    common = math.gcd(rate, to)
    up, down = to // common, rate // common
    reach, kernels = _kernels(up, down)
    padded = array("h", bytes(2 * (reach - 1))) + samples + array("h", bytes(2 * (reach + 1)))
    out = array("h", bytes(2 * (len(samples) * up // down)))
    for n in range(len(out)):
        at, phase = divmod(n * down, up)
        value = int(sum(map(mul, kernels[phase], padded[at:at + 2 * reach])))
        out[n] = max(-32768, min(32767, value))
    return out


def read_wav(path, rate):
    """16-bit samples at `rate`; the first channel of several."""
    with wave.open(str(path)) as source:
        if source.getsampwidth() != 2:
            raise ValueError(f"{path}: {8 * source.getsampwidth()} bits a sample, only 16 are read")
        samples = _pcm_samples(source.readframes(source.getnframes()))[::source.getnchannels()]
        return resample(samples, source.getframerate(), rate)


def write_wav(path, samples, rate):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
