#!/usr/bin/python3
"""A calendar behind HTTP, for the tools of a voice call: POST /book with {"arguments": {…}} books an appointment.

Prints {"port": N} when it listens, then one JSON line for each thing that happened, until SIGTERM: `booking`, `repeated` (the same
Idempotency-Key again: the first one's answer, nothing is booked), `failing` (as --fail-first says), `refused`.
"""

import argparse
import http.server
import json
import os
import sys
import threading
import time

from journal import Journal

MOST_BODY = 64 << 10


class Calendar:
    def __init__(self, journal, fail_first=0, delay_ms=0):
        self.journal, self.fail_first, self.delay_ms = journal, fail_first, delay_ms
        self.lock = threading.Lock()
        self.answers = {}  # by idempotency key

    def book(self, key, arguments):
        """(status, answer). One that is to fail has booked before: the caller cannot know, and must be able to ask again."""
        with self.lock:
            repeated = key in self.answers
            if not repeated:
                self.answers[key] = {"booked": True, "reference": f"A-{len(self.answers) + 1}", **arguments}
            self.journal.write("repeated" if repeated else "booking", key=key, arguments=arguments)
            if self.fail_first:
                self.fail_first -= 1
                self.journal.write("failing", key=key)
                return 503, {"error": "try again"}
            return 200, self.answers[key]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        size = self.headers.get("Content-Length", "")
        if not size.isdigit() or int(size) > MOST_BODY:
            self.close_connection = True
            return self._refuse(413, "a Content-Length of up to 64 KiB is needed")
        body = self.rfile.read(int(size))
        if self.path != "/book":
            return self._refuse(404, "there is only /book")
        key = self.headers.get("Idempotency-Key")
        if not key:
            return self._refuse(400, "an Idempotency-Key is needed")
        try:
            arguments = json.loads(body)["arguments"]
            if not isinstance(arguments, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            return self._refuse(422, 'a body {"arguments": {…}} is needed')
        time.sleep(self.server.calendar.delay_ms / 1000)
        return self._answer(*self.server.calendar.book(key, arguments))

    def _refuse(self, status, why):
        self.server.calendar.journal.write("refused", status=status, why=why)
        self._answer(status, {"error": why})

    def _answer(self, status, answer):
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0: any")
    parser.add_argument("--fail-first", type=int, default=0, metavar="N", help="the first N requests book and are answered 503")
    parser.add_argument("--delay-ms", type=int, default=0, help="before each booking")
    parser.add_argument("--log", metavar="FILE", help="the journal goes there, and only the port to standard output")
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    with open(options.log, "w", encoding="utf-8") if options.log else os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        server.calendar = Calendar(Journal(out), options.fail_first, options.delay_ms)
        print(json.dumps({"port": server.server_address[1]}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
