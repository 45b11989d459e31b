"""The corpus: cases/*.txt, one case a line, as README.md here describes it."""

import glob
import os
import re
from dataclasses import dataclass, replace

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
_PIECE = re.compile(r"\\(?P<escape>[rnt0s\\{}]|x[0-9a-f]{2})|\{(?P<braces>[^{}]*)\}|(?P<plain>[ -\[\]-z|~]+)")
_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "s": b" ", "\\": b"\\", "{": b"{", "}": b"}"}
_ANSWER = re.compile(r"(?P<statuses>\d{3}(\|\d{3})*)(?P<head>head)?(=(?P<body>\S*))?")
_EVENT = re.compile(r"(?P<number>\d)(:(?P<begin>\d+)-(?P<end>\d+))?")
EVENT_SIZE = 128

WAIT, END, LATE, TRUNCATE = "wait", "end", "late", "truncate"
_MARKS = {WAIT, END, LATE, TRUNCATE}


class Malformed(Exception):
    """The corpus itself is wrong; says where."""


@dataclass(frozen=True)
class Answer:
    """`head`: without a body, whatever length it tells; `body`: what the body has to be, None for any."""

    statuses: frozenset
    head: bool = False
    body: bytes | None = None

    def __str__(self):
        return "|".join(map(str, sorted(self.statuses)))


@dataclass(frozen=True)
class _Event:
    """Bytes of the body of an event, which has its own id in each run of a case."""

    number: int
    begin: int
    end: int


@dataclass(frozen=True)
class Case:
    name: str
    answers: tuple
    ending: str  # open, close
    events: int
    template: tuple  # bytes, _Event, marks
    generated: bool = False  # by a rule

    def pieces(self, identity):
        """What is to be sent: bytes and marks. `identity(number)`: the id of an event."""
        out = []
        for piece in self.template:
            if isinstance(piece, _Event):
                piece = event_body(identity(piece.number))[piece.begin:piece.end]
            if isinstance(piece, bytes) and out and isinstance(out[-1], bytes):
                out[-1] += piece
            else:
                out.append(piece)
        return out

    def expectation(self):
        return " ".join([*map(str, self.answers), self.ending])

    @property
    def late(self):
        return LATE in self.template


def event_body(identity):
    """JSON of EVENT_SIZE bytes. The key makes the plugin write a record of its own for each."""
    body = f'{{"id":"{identity}","key":"{identity}","type":"wire","pad":""}}'
    if len(body) > EVENT_SIZE:
        raise Malformed(f"the id {identity} is too long for an event of {EVENT_SIZE} bytes")
    return (body[:-2] + "." * (EVENT_SIZE - len(body)) + body[-2:]).encode()


def _unescape(text):
    out, at = b"", 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if not match or match["braces"] is not None:
            raise Malformed(f"cannot read {text[at:at + 20]!r}")
        escape = match["escape"]
        out += _ESCAPES.get(escape) or bytes.fromhex(escape[1:]) if escape else match["plain"].encode()
        at = match.end()
    return out


def _in_braces(text, macros):
    if text in _MARKS:
        return [text]
    if text in macros:
        return _template(macros[text], macros)
    if match := _EVENT.fullmatch(text):
        return [_Event(int(match["number"]), int(match["begin"] or 0), int(match["end"] or EVENT_SIZE))]
    what, star, times = text.rpartition("*")
    if star and times.isdigit():
        return [_unescape(what) * int(times)]
    raise Malformed(f"{{{text}}} is nothing that README.md knows")


def _template(text, macros):
    out, at = [], 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if not match:
            raise Malformed(f"cannot read {text[at:at + 20]!r}")
        out += _in_braces(match["braces"], macros) if match["braces"] is not None else [_unescape(match[0])]
        at = match.end()
    return out


def _answers(text):
    *answers, ending = text.split(" ")
    if ending not in ("open", "close"):
        raise Malformed(f"{text!r} ends neither in open nor in close")
    out = []
    for word in answers:
        match = _ANSWER.fullmatch(word)
        if not match:
            raise Malformed(f"{word!r} is no answer")
        body = None if match["body"] is None else _unescape(match["body"])
        out.append(Answer(frozenset(map(int, match["statuses"].split("|"))), bool(match["head"]), body))
    return tuple(out), ending


def _truncations(case, identity=lambda number: f"{number}"):
    """One case for each byte behind the mark. Events are of one size, so that it does not matter whose."""
    at = case.template.index(TRUNCATE)
    before, behind = case.template[:at], case.template[at + 1:]
    last = LATE if case.late else END
    whole = [piece for piece in behind if piece != LATE]
    size = sum(piece.end - piece.begin if isinstance(piece, _Event) else len(piece) for piece in whole)
    for cut in range(1 if case.late else 0, size):
        left, kept = cut, []
        for piece in whole:
            length = piece.end - piece.begin if isinstance(piece, _Event) else len(piece)
            take = min(left, length)
            kept.append(replace(piece, end=piece.begin + take) if isinstance(piece, _Event) else piece[:take])
            left -= take
        yield replace(case, name=f"{case.name}/{cut}", template=(*before, *kept, last), generated=True)


def _macros(path):
    macros = {}
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line and not line.startswith("#"):
                name, text = line.split("\t")
                macros[name] = text
    return macros


def _cases_of(path, macros):
    theme = os.path.basename(path).removesuffix(".txt")
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file.read().splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            try:
                name, expected, events, text = line.split("\t")
                answers, ending = _answers(expected)
                case = Case(f"{theme}/{name}", answers, ending, int(events), tuple(_template(text, macros)))
            except (ValueError, Malformed) as why:
                raise Malformed(f"{path}:{number}: {why}") from why
            if ending == "open" and (END in case.template or LATE in case.template):
                raise Malformed(f"{path}:{number}: a connection that was ended cannot stay open")
            if TRUNCATE in case.template:
                yield from _truncations(case)
            else:
                yield case


def load(folder=_FOLDER):
    macros = _macros(os.path.join(folder, "macros"))
    cases = [case for path in sorted(glob.glob(os.path.join(folder, "*.txt"))) for case in _cases_of(path, macros)]
    names = [case.name for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise Malformed(f"two cases are called {sorted(twice)[0]}")
    return cases
