#!/usr/bin/python3
"""Draws a call as an SVG, from the journals of tests/support/voice: the caller's, and the scripted server's beside it.

Rows: what the caller says, what the caller hears, the audio that the model sent; with the words, where there are transcripts. Marks:
turns, interruptions, clear, truncate, keys, tool calls, violations, who closed.
Usage: timeline.py CALLER.jsonl SERVER.jsonl [-o FILE.svg] [--connection N] [--title TEXT].
"""

import argparse
import json
import sys
from html import escape

LEFT, RIGHT, TOP = 150, 30, 92
ROW, GAP = 84, 18
ROWS = (("Caller says", "said", "#0f766e"), ("Caller hears", "heard", "#1d4ed8"), ("Model sends", "model", "#a16207"))
KINDS = {  # of marks: colour, and what the legend calls it
    "turn": ("#64748b", "speech seen by the model"),
    "interruption": ("#dc2626", "interruption"),
    "clear": ("#ea580c", "clear: playback dropped"),
    "truncate": ("#7c3aed", "truncate: what the model keeps"),
    "keys": ("#4d7c0f", "keys pressed"),
    "tool": ("#0891b2", "tool call"),
    "end": ("#0f172a", "the stream is closed"),
    "violation": ("#be123c", "violation of a protocol"),
}
LABEL, LABEL_ROW = 6.6, 19  # px: a character of a label, a line of labels
SOUND = 0.01
LEVEL_MS = 100
INTERRUPTED_WITHIN = 1500  # ms from the speech to its clear
ONE_ENTRY = 1500  # ms between two keys at most
WORDS = 6.3  # px: a character of what was said


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.startswith("{")]


class Call:
    """What is drawn, in ms since the caller's journal began."""

    def __init__(self, caller, server, connection=None):
        begin = next(line["monotonic_ms"] for line in caller if line["event"] == "begin")
        self.caller = caller
        self.server = [{**line, "ms": line["ms"] - begin} for line in server
                       if "event" in line and line.get("connection") == (connection or line.get("connection"))]
        self.end = max(line["ms"] for line in caller)
        self.server = [line for line in self.server if 0 <= line["ms"] <= self.end]
        self.levels = [line for line in caller if line["event"] == "level"]
        self.answers = list(self._answers())
        self.words = self._words()
        self.blocks = self._blocks()
        self.marks = sorted(self._marks())

    def _words(self):
        """What the caller said, as the model has understood it: (from, text)"""
        sent = [line for line in self.server if line["event"] == "sent"]
        began = {line["item_id"]: line["ms"] for line in sent if line["type"] == "input_audio_buffer.speech_started"}
        return [(began[line["item_id"]], line["transcript"]) for line in sent
                if line["type"] == "conversation.item.input_audio_transcription.completed" and line["item_id"] in began]

    def _blocks(self):
        """Of each item of the model: from its first to its last delta, how much audio that was, and its words."""
        blocks = {}
        for line in self.server:
            if line["event"] == "sent" and line["type"] == "response.output_audio.delta":
                block = blocks.setdefault(line["item_id"], {"from": line["ms"], "audio_ms": 0, "status": "open"})
                block.update(to=line["ms"], audio_ms=line["generated_ms"])
            elif line["event"] == "sent" and line["type"] == "response.output_item.done" and line.get("item_id") in blocks:
                blocks[line["item_id"]]["status"] = line["item_status"]
            elif line["event"] == "sent" and line["type"] == "conversation.item.truncated" and line["item_id"] in blocks:
                blocks[line["item_id"]]["kept_ms"] = line["audio_end_ms"]
            elif line["event"] == "sent" and line["type"] == "response.output_audio_transcript.done" and line["item_id"] in blocks:
                blocks[line["item_id"]]["words"] = line.get("transcript", "")
        return list(blocks.values())

    def _answers(self):
        """(from, to): the silence between the end of what the caller said and the first that is heard after it."""
        silent_since = None
        for level in self.levels:
            begins = level["ms"] - LEVEL_MS
            if level["said"] > SOUND:
                silent_since = level["ms"]
            elif silent_since is not None and level["heard"] > SOUND:
                if begins >= silent_since + LEVEL_MS:
                    yield silent_since, begins
                silent_since = None

    def _marks(self):
        """(ms, kind, text)"""
        clears = [line for line in self.caller if line["event"] == "clear_received"]
        speech = [line["ms"] for line in self.server if line["event"] == "sent" and line["type"] == "input_audio_buffer.speech_started"]
        interruptions = {max((ms for ms in speech if 0 <= line["ms"] - ms <= INTERRUPTED_WITHIN), default=None) for line in clears}
        hung_up = any(line["event"] == "closed" and line["by"] == "server" for line in self.caller)
        calls = {}
        for ms in speech:
            yield ms, *(("interruption", "interruption") if ms in interruptions else ("turn", "speech"))
        for line in clears:
            yield line["ms"], "clear", f"clear, {line['dropped_ms'] / 1000:.1f} s dropped"
        for line in self.caller:
            if line["event"] == "violation":
                yield line["ms"], "violation", line["rule"]
            elif line["event"] == "closed" and line["by"] == "server":
                yield line["ms"], "end", f"closed by the gateway, {line['code']}"
        for ms, keys in self._keys():
            yield ms, "keys", f"keys {keys}"
        for line in self.server:
            kind, name = line["event"], line.get("type")
            if kind == "violation":
                yield line["ms"], "violation", line["rule"]
            elif kind == "client" and name == "conversation.item.truncate":
                yield line["ms"], "truncate", f"truncate at {line['audio_end_ms'] / 1000:.2f} s"
            elif kind == "sent" and name == "response.function_call_arguments.done":
                calls[line["call_id"]] = line
            elif kind == "client" and line.get("item", {}).get("type") == "function_call_output":
                called = calls.pop(line["item"].get("call_id"), line)
                yield called["ms"], "tool", f"{called.get('name', 'tool')}, {line['ms'] - called['ms']:.0f} ms"
        for called in calls.values():
            yield called["ms"], "tool", called["name"] + ("" if hung_up else ", not answered")

    def _keys(self):
        """(ms, keys): those that were pressed for one answer."""
        entries, last = [], None
        for line in self.caller:
            if line["event"] == "dtmf":
                if last is None or line["ms"] - last > ONE_ENTRY:
                    entries.append([line["ms"], ""])
                entries[-1][1] += line["dtmf"]["digit"]
                last = line["ms"]
        return entries


class Drawing:
    def __init__(self, call, title):
        self.call, self.title = call, title
        self.width = int(min(6000, max(1100, LEFT + RIGHT + call.end * 0.055)))
        self.scale = (self.width - LEFT - RIGHT) / max(call.end, 1)
        self.bottom = TOP + len(ROWS) * (ROW + GAP)
        self.lines = []

    def x(self, ms):
        return LEFT + ms * self.scale

    def put(self, text):
        self.lines.append(text)

    def text(self, x, y, text, extra=""):
        self.put(f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(text)}</text>')

    def svg(self):
        for n in range(len(ROWS)):
            top, wide = TOP + n * (ROW + GAP), self.width - LEFT - RIGHT
            self.put(f'<rect x="{LEFT}" y="{top}" width="{wide}" height="{ROW}" rx="6" fill="#f1f5f9"/>')
        self._axis()
        label_rows = self._marks()
        for n, (name, key, colour) in enumerate(ROWS):
            top = TOP + n * (ROW + GAP)
            self.text(LEFT - 14, top + ROW / 2 + 5, name, f'text-anchor="end" font-weight="600" fill="{colour}"')
            (self._model if key == "model" else self._levels)(top, key, colour)
        self._words()
        self._answers()
        height = self._legend(self.bottom + 36 + label_rows * LABEL_ROW) + 6
        size = f'width="{self.width}" height="{height:.0f}"'
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {self.width} {height:.0f}" '
                'font-family="Inter, \'DejaVu Sans\', \'Segoe UI\', Helvetica, Arial, sans-serif" font-size="13" fill="#0f172a">')
        self.put("</svg>\n")
        return "\n".join([head, f'<rect {size} fill="#ffffff"/>', *self.lines])

    def _axis(self):
        self.text(LEFT, 34, self.title, 'font-size="20" font-weight="700"')
        heard = sum(LEVEL_MS for level in self.call.levels if level["heard"] > SOUND) / 1000
        said = sum(LEVEL_MS for level in self.call.levels if level["said"] > SOUND) / 1000
        sent = sum(block["audio_ms"] for block in self.call.blocks) / 1000
        sums = f"{self.call.end / 1000:.1f} s: the caller spoke {said:.1f} s and heard {heard:.1f} s; the model sent {sent:.1f} s"
        self.text(LEFT, 56, sums, 'fill="#475569"')
        step = next(each for each in (250, 500, 1000, 2000, 5000, 10000, 30000, 60000, 300000) if each * self.scale >= 44 or each == 300000)
        for ms in range(0, int(self.call.end) + 1, step):
            x = self.x(ms)
            self.put(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{self.bottom - GAP + 6}" stroke="#e2e8f0"/>')
            self.text(x, TOP - 12, f"{ms / 1000:g} s", 'text-anchor="middle" font-size="12" fill="#64748b"')

    def _levels(self, top, key, colour):
        """A bar each 100 ms, as tall as it is loud; the root makes quiet speech visible."""
        wide = max(1.0, LEVEL_MS * self.scale - 1.2)
        under = 14 if key == "said" and self.call.words else 0  # the words are above
        for level in self.call.levels:
            tall = min(1.0, (level[key] * 4) ** 0.5) * (ROW - 12 - under)
            if tall > 2:
                x, y = self.x(level["ms"] - LEVEL_MS), top + under + (ROW - under - tall) / 2
                self.put(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="1.5" fill="{colour}"/>')

    def _said(self, x, y, text, until, colour):
        """As much of it as there is room for."""
        text, room = " ".join(text.split()), int((until - x) / WORDS)
        if len(text) > room:
            text = text[:max(0, room - 1)].rstrip() + "…" if room > 4 else ""
        self.text(x, y, text, f'font-size="12" fill="{colour}"')

    def _words(self):
        ends = [self.x(ms) - 10 for ms, _ in self.call.words[1:]] + [self.width - RIGHT]
        for (ms, text), until in zip(self.call.words, ends):
            self._said(self.x(ms) + 6, TOP + 16, text, until, "#115e59")

    def _model(self, top, _key, colour):
        """Dark: while it was sent. Light: as long as it would play from then on, only outlined where it was truncated."""
        for n, block in enumerate(self.call.blocks):
            y, tall = top + 10 + n % 2 * (ROW / 2 - 4), ROW / 2 - 14
            x, room = self.x(block["from"]), self.call.end - block["from"]
            whole, kept = (max(3, min(block.get(key, block["audio_ms"]), room) * self.scale) for key in ("audio_ms", "kept_ms"))
            sent = max(3, (block["to"] - block["from"]) * self.scale)
            for wide, style in ((whole, f'fill="none" stroke="{colour}" stroke-opacity="0.55" stroke-dasharray="4 3"'),
                                (kept, f'fill="{colour}" fill-opacity="0.18"'), (sent, f'fill="{colour}"')):
                self.put(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall}" rx="4" {style}/>')
            label = f"{block['audio_ms'] / 1000:.1f} s" + ("" if block["status"] == "completed" else ", cancelled")
            if block.get("words"):
                label += ": " + block["words"]
            following = self.call.blocks[n + 2:n + 3]
            until = self.x(following[0]["from"]) - 10 if following else self.width - RIGHT
            self._said(x + sent + 7, y + tall / 2 + 4.5, label, until, "#713f12")

    def _answers(self):
        y = TOP + ROW + GAP / 2
        for start, end in self.call.answers:
            a, b = self.x(start), self.x(end)
            self.put(f'<path d="M{a:.1f} {y - 4}v8M{a:.1f} {y}H{b:.1f}M{b:.1f} {y - 4}v8" stroke="#334155" fill="none"/>')
            self.text(b + 6, y + 4.5, f"{(end - start) / 1000:.1f} s to the answer", 'font-size="12" fill="#334155"')

    def _marks(self):
        """A line through all rows for each mark; its label in the first line of labels that has room for it. How many lines there are."""
        ends = []
        for ms, kind, text in self.call.marks:
            x, colour = self.x(ms), KINDS[kind][0]
            wide = len(text) * LABEL + 26
            turned = x - 6 + wide > self.width - 6
            at = x - wide if turned else x - 6
            row = next((n for n, end in enumerate(ends) if end <= at), len(ends))
            ends[row:row + 1] = [x + 6 if turned else at + wide]
            y = self.bottom + 14 + row * LABEL_ROW
            dashes = ' stroke-dasharray="2 4"' if kind == "turn" else ""
            self.put(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{y - 5:.1f}" stroke="{colour}" stroke-width="1.5"{dashes}/>')
            self.put(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
            self.text(x - 9 if turned else x + 9, y + 4.5, text, f'font-size="12" fill="{colour}"' + ' text-anchor="end"' * turned)
        return len(ends)

    def _legend(self, y):
        """As many lines as it takes; the y below the last."""
        x = LEFT
        entries = [(colour, 1, 10, text) for kind, (colour, text) in KINDS.items() if any(mark[1] == kind for mark in self.call.marks)]
        entries += [(ROWS[2][2], 1, 2, "while it is sent"), (ROWS[2][2], 0.18, 2, "as long as it plays")]
        for colour, opacity, round_by, text in entries:
            wide = 46 + len(text) * LABEL
            if x + wide > self.width - RIGHT and x > LEFT:
                x, y = LEFT, y + LABEL_ROW
            across = 10 if round_by == 10 else 16
            self.put(f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="{across}" height="10" rx="{min(round_by, 5)}" fill="{colour}" '
                     f'fill-opacity="{opacity}"/>')
            self.text(x + across + 7, y, text, 'font-size="12" fill="#334155"')
            x += wide
        return y + LABEL_ROW


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("caller", help="journal of twilio_caller.py")
    parser.add_argument("server", help="journal of realtime_server.py")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    parser.add_argument("--connection", type=int, metavar="N", help="of the server's connections; default: all of them")
    parser.add_argument("--title", default="A voice call")
    options = parser.parse_args()
    svg = Drawing(Call(read(options.caller), read(options.server), options.connection), options.title).svg()
    if options.output:
        with open(options.output, "w", encoding="utf-8") as out:
            out.write(svg)
    else:
        sys.stdout.write(svg)


if __name__ == "__main__":
    main()
