#!/usr/bin/python3
"""OpenAI's side of calls by SIP: /v1/realtime/calls/ID/{accept,reject,refer,hangup} over HTTP, and the Realtime server that controls them.

Prints {"port": N, "api_port": N} when it listens, then one JSON line for each thing that happened: those of realtime_server.py, `api` for
each request that was as it should be, with the `status` of its answer, and `violation` for each that was not; until SIGTERM. Calls ring
from the start, and there are none but those of --call. A call that was hung up or referred ends its control session with 1000.

Source: OpenAI docs "Realtime API with SIP"; API reference "Realtime calls".
"""

import argparse
import asyncio
import hmac
import json
import logging
import os
import signal
import sys

import realtime_events as events
import realtime_schema as schema
from journal import Journal
from realtime_rules import Fault
from realtime_script import BadScript, Script
from realtime_server import Protocol, Server, answer

MOST_BODY = 256 << 10
STATUS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Refused(Exception):
    """A request that breaks a rule; `rule` is None where a right client may meet it."""

    def __init__(self, status, rule, message):
        super().__init__(message)
        self.status, self.rule = status, rule


class SipProtocol(Protocol):
    def _refusal(self, path, query, bearer):
        refused = super()._refusal(path, query, bearer)
        if refused or self.call_id is None:
            return refused
        if self.server.calls.get(self.call_id, {}).get("state") != "accepted":
            return answer(404, "There is no such call.", "call_not_found")
        return None


class SipServer(Server):
    protocol = SipProtocol

    def __init__(self, script, key, journal, calls, accept_fails=0):
        super().__init__(script, key, journal)
        self.calls = {call: {"state": "ringing", "sockets": []} for call in calls}
        self.accept_fails = accept_fails

    def make_session(self, socket):
        session = super().make_session(socket)
        if call := self.calls.get(socket.call_id):
            call["sockets"].append(socket)
            session.settings = events.updated(session.settings, {key: value for key, value in call["session"].items() if key != "model"})
        return session

    # The API. What a right client may ask too late is answered 404 or 400, and is no violation.

    def call(self, call_id, *states):
        call = self.calls.get(call_id)
        if call is None or call["state"] == "ended":
            raise Refused(404, None, "There is no such call.")
        if call["state"] not in states:
            raise Refused(400, None, f"The call is {call['state']}.")
        return call

    def accept(self, call_id, body):
        try:
            schema.SESSION(body, "session")
        except Fault as fault:
            raise Refused(400, "api.session", fault.message) from fault
        if "model" not in body:
            raise Refused(400, "api.session", "A call is accepted with a model.")
        for side in ("input", "output"):
            if "format" in body.get("audio", {}).get(side, {}):
                raise Refused(400, "api.session", "SIP negotiates the audio's format.")
        call = self.call(call_id, "ringing")
        call.update(state="accepted", session=body)
        if self.accept_fails:
            self.accept_fails -= 1
            raise Refused(503, None, "It was accepted, and the answer is lost.")

    def reject(self, call_id, body):
        if set(body or {}) - {"status_code"} or not 400 <= (body or {}).get("status_code", 603) <= 699:
            raise Refused(400, "api.body", "A call is rejected with a status_code of SIP, or nothing.")
        self.call(call_id, "ringing")["state"] = "ended"

    def refer(self, call_id, body):
        uri = body.get("target_uri") if isinstance(body, dict) and len(body) == 1 else None
        if not isinstance(uri, str) or not uri.startswith(("tel:", "sip:")):
            raise Refused(400, "api.body", "A call is referred to a target_uri, tel: or sip:.")
        self.end(self.call(call_id, "accepted"))

    def hangup(self, call_id, body):
        if body is not None:
            raise Refused(400, "api.body", "A call is hung up without a body.")
        self.end(self.call(call_id, "accepted"))

    def end(self, call):
        call["state"] = "ended"
        for socket in call["sockets"]:
            if socket.open:
                call["closing"] = asyncio.get_running_loop().create_task(socket.close(1000, "the call has ended"))

    # HTTP/1.1, as much of it as clients need.

    async def start_api(self, port=0):
        server = await asyncio.start_server(self._connection, "127.0.0.1", port)
        return server.sockets[0].getsockname()[1]

    async def _connection(self, reader, writer):
        try:
            while await self._request(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _request(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _version = head.split("\r\n")[0].split(" ")
        headers = dict((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:-2]))
        size = int(headers.get("content-length", "0"))
        if size > MOST_BODY:
            return False
        raw = await reader.readexactly(size)
        status, said = 200, {}
        try:
            self._act(method, target, headers, raw)
        except Refused as refused:
            status, said = refused.status, {"error": {"message": str(refused), "type": "invalid_request_error", "code": None, "param": None}}
            if refused.rule:
                self.journal.write("violation", rule=refused.rule, message=str(refused))
        body = raw.decode("utf-8", "replace")
        self.journal.write("api", method=method, target=target, status=status, body=json.loads(body) if body else None)
        text = json.dumps(said).encode()
        writer.write(f"HTTP/1.1 {status} {STATUS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()
        return True

    def _act(self, method, target, headers, raw):
        if not hmac.compare_digest(headers.get("authorization", "").encode(), b"Bearer " + self.key.encode()):
            raise Refused(401, "api.bearer", "Incorrect API key provided.")
        parts = target.split("/")
        if parts[:4] != ["", "v1", "realtime", "calls"] or len(parts) != 6 or parts[5] not in ("accept", "reject", "refer", "hangup"):
            raise Refused(404, "api.path", f"There is no {target}.")
        if method != "POST":
            raise Refused(405, "api.method", "Only POST.")
        body = None
        if raw:
            if headers.get("content-type", "").split(";")[0] != "application/json":
                raise Refused(400, "api.content_type", "A body is JSON, and says so.")
            try:
                body = json.loads(raw)
            except ValueError as error:
                raise Refused(400, "api.body", f"The body is no JSON: {error}") from error
        getattr(self, parts[5])(parts[4], body)


async def serve(options, script):
    with open(options.log, "w", encoding="utf-8") if options.log else os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        server = SipServer(script, options.key, Journal(out), options.call, options.accept_fails)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        ports = {"port": await server.start(), "api_port": await server.start_api()}
        print(json.dumps(ports), flush=True)
        await stop.wait()
        await server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", metavar="FILE", help="of the control sessions, as realtime_server.py has it")
    parser.add_argument("--key", default="sk-test", help="the bearer that a client must bring; default: sk-test")
    parser.add_argument("--call", action="append", default=[], metavar="ID", help="a call that rings")
    parser.add_argument("--accept-fails", type=int, default=0, metavar="N", help="the first N accept, and are answered 503")
    parser.add_argument("--log", metavar="FILE", help="the journal goes there, and only the ports to standard output")
    options = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    try:
        script = Script(json.loads(open(options.script, encoding="utf-8").read() if options.script else "{}"))
    except (OSError, ValueError, BadScript) as error:
        print(f"sip_server.py: {options.script}: {error}", file=sys.stderr)
        return 2
    asyncio.run(serve(options, script))
    return 0


if __name__ == "__main__":
    sys.exit(main())
