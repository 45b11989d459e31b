"""What happened, one JSON object a line, each with `ms` and `event`; written at once, so that a test can wait for a line."""

import json
import time


def monotonic_ms():
    return time.monotonic() * 1000


class Journal:
    """`begin`: what `ms` counts from; 0 is the machine's monotonic clock, which all processes share."""

    def __init__(self, stream, begin=0.0):
        self.stream = stream
        self.begin = begin

    def write(self, event, **fields):
        line = {"ms": round(monotonic_ms() - self.begin, 1), "event": event}
        line.update((key, value) for key, value in fields.items() if value is not None)
        self.stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.stream.flush()
