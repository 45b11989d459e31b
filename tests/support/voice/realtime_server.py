#!/usr/bin/python3
"""A scripted server of the OpenAI Realtime API (GA shape alone), which holds its client to the protocol.

Prints {"port": N} when it listens, then one JSON line for each thing that happened (README.md here has them), until SIGTERM.
"""

import argparse
import asyncio
import hmac
import http
import itertools
import json
import logging
import os
import signal
import ssl
import sys
from urllib.parse import parse_qsl, urlsplit

import websockets

from journal import Journal
from realtime_rules import RULES
from realtime_script import BadScript, Script
from realtime_session import Session
from sockets import how_closed, reset

PATH = "/v1/realtime"
MOST_FRAME = 24 << 20  # 15 MiB of audio as base64, and its JSON


class Protocol(websockets.WebSocketServerProtocol):
    """The opening handshake: whom it refuses, and what the script does instead."""

    server = None  # Server; a subclass of each has it

    async def process_request(self, path, request_headers):
        self.number = next(self.server.numbers)
        self.plan = self.server.script.next_plan()
        self.beta = "OpenAI-Beta" in request_headers
        parts = urlsplit(path)
        query = parse_qsl(parts.query, keep_blank_values=True)
        self.model, self.call_id = dict(query).get("model"), dict(query).get("call_id")
        bearer = self._bearer(request_headers)
        shown = [[name, value] for name, value in request_headers.raw_items() if name.lower() not in ("authorization", "sec-websocket-key")]
        self.server.journal.write("handshake", connection=self.number, path=path, bearer=bearer, headers=shown)
        return await self._as_scripted() or self._refusal(parts.path, query, bearer)

    def _bearer(self, headers):
        given = headers.get_all("Authorization")
        if not given:
            return "absent"
        right = len(given) == 1 and hmac.compare_digest(given[0].encode(), b"Bearer " + self.server.key.encode())
        return "expected" if right else "wrong"

    def _refusal(self, path, query, bearer):
        if path != PATH:
            return self._violation("handshake.path", 404, f"There is no {path}.")
        if bearer != "expected":
            return self._violation("handshake.bearer", 401, "Incorrect API key provided.", "invalid_api_key")
        if len(query) != 1 or query[0][0] not in ("model", "call_id") or not query[0][1]:
            return self._violation("handshake.query", 400, "You must provide either model or call_id.", "missing_model")
        return None

    def _violation(self, rule, status, message, code=None):
        self.server.journal.write("violation", connection=self.number, rule=rule, message=RULES[rule])
        return answer(status, message, code)

    async def _as_scripted(self):
        wanted = self.plan.on_connect
        if wanted:
            self.server.journal.write("scripted", connection=self.number, step=wanted)
        await asyncio.sleep(wanted.get("delay_ms", 0) / 1000)
        if wanted.get("drop"):
            reset(self.transport)
            raise ConnectionResetError("as scripted")
        if wanted.get("hang"):
            await asyncio.shield(self.connection_lost_waiter)
            self.server.journal.write("gave_up", connection=self.number)
            raise ConnectionResetError("the client gave up")
        if "refuse" in wanted:
            return answer(wanted["refuse"], "Refused as scripted.", None, wanted.get("headers", {}))
        return None


def answer(status, message, code, headers=None):
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}})
    given = {"Content-Type": "application/json", "x-request-id": "req_0", **(headers or {})}
    return http.HTTPStatus(status), list(given.items()), body.encode()


class Server:
    protocol = Protocol

    def __init__(self, script, key, journal):
        self.script, self.key, self.journal = script, key, journal
        self.numbers = itertools.count(1)
        self._server = None

    async def start(self, port=0, tls=None):
        """Listens on 127.0.0.1; the port."""
        protocol = type("ProtocolOfServer", (self.protocol,), {"server": self})
        self._server = await websockets.serve(self._serve, "127.0.0.1", port, create_protocol=protocol, ssl=tls, compression=None,
                                              max_size=MOST_FRAME, close_timeout=5, server_header=None)
        return self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        await self._server.wait_closed()

    def make_session(self, socket):
        return Session(socket, socket.plan, self.journal, socket.number, socket.model or "gpt-realtime", socket.call_id is not None)

    async def _serve(self, socket):
        session = self.make_session(socket)
        try:
            if socket.beta:
                self.journal.write("violation", connection=socket.number, rule="handshake.beta", message=RULES["handshake.beta"])
                await session.send("error", error={"type": "invalid_request_error", "code": "beta_api_shape_disabled", "param": None,
                                                   "message": "The Realtime beta API is disabled.", "event_id": None})
                await socket.close(4000, "beta_api_shape_disabled")
            elif "close" in socket.plan.on_connect:
                await socket.close(socket.plan.on_connect["close"], "as scripted")
            else:
                await session.run()
        except websockets.ConnectionClosed:
            pass
        except Exception as error:
            session.broken(error)
            raise
        finally:
            await session.end()
            if session.closing:
                await session.closing
            self._note_close(socket, session.closing is not None)

    def _note_close(self, socket, scripted):
        who, code, reason = how_closed(socket)
        if who == "self" and code in (1002, 1007, 1009) and not scripted:
            self.journal.write("violation", connection=socket.number, rule="frame.websocket", message=f"{code} {reason}")
        by = {"peer": "client", "self": "server"}.get(who, who)
        self.journal.write("close", connection=socket.number, by=by, code=code, reason=reason)


def tls_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def serve(options, script):
    with open(options.log, "w", encoding="utf-8") if options.log else os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        server = Server(script, options.key, Journal(out))
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        port = await server.start(options.port, tls_context(*options.tls) if options.tls else None)
        print(json.dumps({"port": port}), flush=True)
        await stop.wait()
        await server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0: any")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="PEM files")
    parser.add_argument("--script", metavar="FILE", help="JSON; without it every response is the same short sentence")
    parser.add_argument("--key", default="sk-test", help="the bearer that a client must bring; default: sk-test")
    parser.add_argument("--log", metavar="FILE", help="the journal goes there, and only the port to standard output")
    options = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    try:
        text = open(options.script, encoding="utf-8").read() if options.script else "{}"
        script = Script(json.loads(text))
    except (OSError, ValueError) as error:
        print(f"realtime_server.py: {options.script}: {error}", file=sys.stderr)
        return 2
    asyncio.run(serve(options, script))
    return 0


if __name__ == "__main__":
    sys.exit(main())
