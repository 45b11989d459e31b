"""One session: the client events of its connection, one after the other, and the conversation that they make."""

import asyncio
import json
import traceback

import websockets

import realtime_events as events
import realtime_schema as schema
from realtime_faults import do_connection_step
from realtime_input import InputAudio
from realtime_response import Response
from realtime_rules import Fault

MOST_SHOWN = 1 << 16
# Of the events that are sent, the journal has these.
SHOWN = {"item_id", "response_id", "call_id", "audio_start_ms", "audio_end_ms", "transcript", "text", "name", "arguments"}


def _no_key_twice(pairs):
    if len(pairs) != len({key for key, _ in pairs}):
        raise ValueError("a key twice")
    return dict(pairs)


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")


def _parsed(frame):
    if isinstance(frame, bytes):
        raise Fault("frame.binary", "invalid_request", "Binary messages are not taken.")
    try:
        event = json.loads(frame, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Fault("frame.json", "invalid_json", f"The message is no JSON: {error}") from error
    if not isinstance(event, dict):
        raise Fault("frame.json", "invalid_json", "The message is no JSON object.")
    return event


def _without_audio(value):
    """For the journal: audio as its size."""
    if isinstance(value, dict):
        return {key + "_chars" if key in ("audio", "delta") and isinstance(each, str) else key:
                len(each) if key in ("audio", "delta") and isinstance(each, str) else _without_audio(each) for key, each in value.items()}
    return [_without_audio(each) for each in value] if isinstance(value, list) else value


class Session:
    def __init__(self, socket, plan, journal, number, model, by_call):
        self.socket, self.plan, self.journal, self.number, self.by_call = socket, plan, journal, number, by_call
        self.conversation_id = events.new_id("conv")
        self.settings = events.new_session(events.new_id("sess"), model)
        self.items = {}  # in the order of the conversation
        self.calls = {}  # call_id: whether it was answered
        self.generated_ms = {}  # item_id: how much audio of it there is
        self.active = None
        self.aside = set()  # responses outside of the conversation
        self.turn_waits = False  # a turn ended while a response was active
        self.spoke = False
        self.closing = None
        self._tasks = set()
        self.input = InputAudio(self)

    async def run(self):
        await self.send("session.created", session=self.settings)
        for after_ms, steps in self.plan.timers:
            self.spawn(self._timer, after_ms, steps)
        async for frame in self.socket:
            await self._frame(frame)

    async def end(self):
        self.input.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _timer(self, after_ms, steps):
        await asyncio.sleep(after_ms / 1000)
        for step in steps:
            await do_connection_step(self, step)

    def spawn(self, work, *arguments):
        """A task that ends with the session; what breaks in it is told, and ends the connection."""
        task = asyncio.create_task(self._guarded(work, arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work, arguments):
        try:
            await work(*arguments)
        except websockets.ConnectionClosed:
            pass
        except Exception as error:
            self.broken(error)
            await self.socket.close(1011, "the stand-in broke")

    def broken(self, error):
        self.journal.write("broken", connection=self.number, message="".join(traceback.format_exception(error)))

    async def send(self, kind, **fields):
        shown = {key: value for key, value in fields.items() if key in SHOWN}
        for key in {"item", "response", "error"} & set(fields):
            shown.update((f"{key}_{name}", fields[key][name]) for name in ("id", "type", "status", "code") if name in fields[key])
        if kind == "response.output_audio.delta":
            shown["generated_ms"] = self.generated_ms[fields["item_id"]]
        self.journal.write("sent", connection=self.number, type=kind, **shown)
        await self.send_raw(json.dumps({"type": kind, "event_id": events.new_id("event"), **fields}))

    async def send_raw(self, frame):
        await self.socket.send(frame)

    async def _frame(self, frame):
        event = {}
        try:
            event = _parsed(frame)
            schema.check(event)
            shown = _without_audio({key: value for key, value in event.items() if key != "type"})
            shown = shown if len(frame) <= MOST_SHOWN or "audio_chars" in shown else {}
            self.journal.write("client", connection=self.number, type=event["type"], bytes=len(frame), **shown)
            await HANDLERS[event["type"]](self, event)
        except Fault as fault:
            self.journal.write("benign" if fault.benign else "violation", connection=self.number, rule=fault.rule,
                               type=str(event.get("type"))[:80], message=fault.message)
            echo = event.get("event_id")
            await self.send("error", error={"type": "invalid_request_error", "code": fault.code, "message": fault.message,
                                            "param": fault.param, "event_id": echo if isinstance(echo, str) else None})

    # The session's settings and its audio.

    async def _update(self, event):
        change = event["session"]
        if change.get("model", self.settings["model"]) != self.settings["model"]:
            raise Fault("session.model", "invalid_value", "The model of a session cannot be changed.", "session.model")
        output = change.get("audio", {}).get("output", {})
        if self.spoke and output.get("voice", self.settings["audio"]["output"]["voice"]) != self.settings["audio"]["output"]["voice"]:
            raise Fault("session.voice", "cannot_update_voice", "The voice cannot change after audio output.", "session.audio.output.voice")
        self.settings = events.updated(self.settings, change)
        if {"format", "turn_detection"} & set(change.get("audio", {}).get("input", {})):
            self.input.configure()
        await self.send("session.updated", session=self.settings)

    async def _output_clear(self, _event):
        if not self.by_call:
            raise Fault("output_buffer", "invalid_request", "output_audio_buffer.clear is for calls by WebRTC and SIP.")
        await self.send("output_audio_buffer.cleared", response_id=self.active.id if self.active else None)

    # Items.

    def last_item(self):
        return next(reversed(self.items), None)

    async def add_item(self, item, after=None):
        previous = self.last_item() if after is None else after
        order = list(self.items.items())
        at = len(order) if after is None else 0 if after == "root" else list(self.items).index(after) + 1
        self.items = dict([*order[:at], (item["id"], item), *order[at:]])
        await self.send("conversation.item.added", item=item, previous_item_id=None if previous == "root" else previous)

    async def item_done(self, item):
        before = list(self.items).index(item["id"]) if item["id"] in self.items else 0
        await self.send("conversation.item.done", item=item, previous_item_id=list(self.items)[before - 1] if before else None)

    def _item(self, event, key="item_id"):
        if event[key] not in self.items:
            raise Fault("item.unknown", "item_not_found", f"There is no item with the id '{event[key][:80]}'.", key)
        return self.items[event[key]]

    async def _item_create(self, event):
        item = {"object": "realtime.item", "status": "completed", **event["item"]}
        item.setdefault("id", events.new_id("item"))
        after = event.get("previous_item_id")
        if item["id"] in self.items:
            raise Fault("item.id", "invalid_value", f"There is an item with the id '{item['id']}'.", "item.id")
        if after not in (None, "root"):
            self._item(event, "previous_item_id")
        if item["type"] == "function_call":
            self.calls.setdefault(item["call_id"], False)
        elif item["type"] == "function_call_output":
            self._answer_call(item["call_id"])
        await self.add_item(item, after)
        await self.item_done(item)

    def _answer_call(self, call_id):
        if call_id not in self.calls:
            raise Fault("item.call_id", "invalid_tool_call_id", f"There is no function call '{call_id[:80]}'.", "item.call_id")
        if self.calls[call_id]:
            raise Fault("item.answered", "invalid_tool_call_id", f"The function call '{call_id[:80]}' has its output.", "item.call_id")
        self.calls[call_id] = True

    async def _item_delete(self, event):
        self._item(event)
        del self.items[event["item_id"]]
        await self.send("conversation.item.deleted", item_id=event["item_id"])

    async def _item_retrieve(self, event):
        await self.send("conversation.item.retrieved", item=self._item(event))

    async def _item_truncate(self, event):
        self._item(event)
        item_id, end_ms = event["item_id"], event["audio_end_ms"]
        if item_id not in self.generated_ms:
            raise Fault("truncate.item", "invalid_value", "Only an assistant's message with audio can be truncated.", "item_id")
        if event["content_index"] != 0:
            raise Fault("truncate.content_index", "invalid_value", "The audio has the content_index 0.", "content_index")
        if end_ms > self.generated_ms[item_id]:
            raise Fault("truncate.past_end", "invalid_value",
                        f"Audio content of {self.generated_ms[item_id]}ms is already shorter than {end_ms}ms.", "audio_end_ms")
        self.generated_ms[item_id] = end_ms
        await self.send("conversation.item.truncated", item_id=item_id, content_index=0, audio_end_ms=end_ms)

    # Responses.

    async def _response_create(self, event):
        settings = event.get("response") or {}
        if self.active and settings.get("conversation", "auto") == "auto":
            raise Fault("response.active", "conversation_already_has_active_response",
                        f"Conversation already has an active response in progress: {self.active.id}.")
        await self._respond(settings)

    async def answer_turn(self):
        if self.active:
            self.turn_waits = True
        else:
            await self._respond({})

    async def _respond(self, settings):
        response = Response(self, self.plan.next_response(), settings)
        if response.in_conversation:
            self.active = response
        else:
            self.aside.add(response)
        await response.start()

    async def _response_cancel(self, event):
        candidates = {response.id: response for response in {self.active, *self.aside} - {None}}
        chosen = candidates.get(event["response_id"]) if "response_id" in event else self.active
        if chosen is None:
            raise Fault("cancel.not_active", "response_cancel_not_active", "Cancellation failed: no active response found.")
        await chosen.cancel("client_cancelled")

    def response_ended(self, response, status):
        """Before its response.done goes out, so that a client may answer that with the next."""
        self.aside.discard(response)
        if self.active is response:
            self.active = None
            self.input.response_done(response.audio_ms if status == "completed" else 0)

    async def response_told(self):
        if self.turn_waits and not self.active:
            self.turn_waits = False
            await self._respond({})


HANDLERS = {
    "session.update": Session._update,
    "input_audio_buffer.append": lambda session, event: session.input.append(event),
    "input_audio_buffer.commit": lambda session, event: session.input.commit(event),
    "input_audio_buffer.clear": lambda session, event: session.input.clear(event),
    "conversation.item.create": Session._item_create,
    "conversation.item.delete": Session._item_delete,
    "conversation.item.retrieve": Session._item_retrieve,
    "conversation.item.truncate": Session._item_truncate,
    "response.create": Session._response_create,
    "response.cancel": Session._response_cancel,
    "output_audio_buffer.clear": Session._output_clear,
}
