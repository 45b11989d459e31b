"""What Twilio has yet to play to the caller: audio and marks in the order in which they came."""

from collections import deque

import audio


class Playback:
    def __init__(self):
        self._queue = deque()  # bytes, or the name of a mark
        self.queued = 0  # bytes
        self.most_queued = 0
        self.played = 0

    def add(self, data):
        self._queue.append(data)
        self.queued += len(data)
        self.most_queued = max(self.most_queued, self.queued)

    def mark(self, name):
        self._queue.append(name)

    @property
    def marks(self):
        return sum(isinstance(each, str) for each in self._queue)

    def take(self, size):
        """The next `size` bytes, filled up with silence; how many of them were there; the marks behind all that was played."""
        parts, marks, left = [], [], size
        while self._queue:
            first = self._queue[0]
            if isinstance(first, str):
                marks.append(self._queue.popleft())
            elif left == 0:
                break
            elif len(first) > left:
                parts.append(bytes(first[:left]))
                self._queue[0] = memoryview(first)[left:]
                left = 0
            else:
                parts.append(bytes(self._queue.popleft()))
                left -= len(parts[-1])
        there = size - left
        self.queued -= there
        self.played += there
        return b"".join(parts) + bytes([audio.SILENCE_ULAW]) * left, there, marks

    def clear(self):
        """Drops all; how many bytes those were, and the marks among them."""
        dropped, marks = self.queued, [each for each in self._queue if isinstance(each, str)]
        self._queue.clear()
        self.queued = 0
        return dropped, marks
