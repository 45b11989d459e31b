#!/usr/bin/python3
"""A caller as Twilio's Media Streams brings one: opens the WebSocket with a signature, speaks and listens in real time.

Exit status: 0 the server kept to the protocol, 1 it did not or the call took too long, 2 wrong usage, 3 it refused the handshake.
"""

import argparse
import asyncio
import json
import logging
import os
import ssl
import sys

import websockets

import audio
import caller_steps
import speech
from journal import Journal, monotonic_ms
from media_stream import MediaStream, signature_of
from sockets import how_closed


async def call(url, stream, journal, *, signature=None, connect_to=None, tls=None, timeout=20):
    """One call: the handshake, the stream, its end. The exit status."""
    headers = {"x-twilio-signature": signature} if signature is not None else {}
    where = {"host": connect_to[0], "port": connect_to[1]} if connect_to else {}
    journal.write("begin", monotonic_ms=round(monotonic_ms(), 1), url=url)
    try:
        socket = await websockets.connect(url, extra_headers=headers, compression=None, ssl=tls, max_size=None, open_timeout=timeout,
                                          user_agent_header="Twilio.TmeWs/1.0", close_timeout=5, **where)
    except websockets.InvalidStatusCode as refusal:
        journal.write("refused", status=refusal.status_code)
        return 3
    except (OSError, asyncio.TimeoutError, websockets.InvalidHandshake, EOFError) as error:
        journal.write("refused", message=f"{type(error).__name__}: {error}")
        return 3
    journal.write("open")
    try:
        counts = await stream.run(socket)
    finally:
        socket.fail_connection()
        await socket.wait_closed()
    who, code, reason = how_closed(socket)
    journal.write("closed", by={"peer": "server", "self": "caller"}.get(who, who), code=code, reason=reason)
    journal.write("summary", **counts, heard_ms=stream.playback.played // 8, most_queued_ms=stream.playback.most_queued // 8,
                  marks_pending=stream.playback.marks)
    return 1 if counts["violations"] or stream.too_long else 0


def tls_of(options):
    if not options.url.startswith("wss:"):
        return None
    context = ssl.create_default_context(cafile=options.ca)
    if options.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, epilog=caller_steps.help_text(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="ws:// or wss://, as in <Stream url>")
    parser.add_argument("--do", action="append", default=[], metavar="STEP", help="a step, see below; may be given again")
    parser.add_argument("--connect-to", metavar="HOST:PORT", help="the address that is connected to instead of the URL's")
    parser.add_argument("--ca", metavar="FILE", help="trusts these certificates (PEM)")
    parser.add_argument("--insecure", action="store_true", help="trusts any certificate")
    parser.add_argument("--auth-token", default="12345", help="signs the handshake; default: 12345")
    parser.add_argument("--signed-url", metavar="URL", help="what is signed, where that is not the URL itself")
    parser.add_argument("--signature", metavar="TEXT", help="the header as it is, such as a wrong one")
    parser.add_argument("--no-signature", action="store_true", help="leaves the header out")
    parser.add_argument("--stream-sid", default="MZ" + "0" * 31 + "1")
    parser.add_argument("--call-sid", default="CA" + "0" * 31 + "1")
    parser.add_argument("--account-sid", default="AC" + "0" * 31 + "1")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of customParameters; may be given again")
    parser.add_argument("--start-delay-ms", type=int, default=0, help="between connected and start")
    parser.add_argument("--longest-ms", type=int, default=600_000, help="ends the call then, whatever is left to do: status 1")
    parser.add_argument("--media-before-start", action="store_true", help="sends a media frame before start")
    parser.add_argument("--heard", metavar="FILE", help="a WAV of what the caller hears, from the start of the stream")
    parser.add_argument("--log", metavar="FILE", help="the timeline goes there and not to standard output")
    options = parser.parse_args(arguments)
    try:
        options.steps = [caller_steps.parse(step) for step in options.do or ["silence:1000"]]
    except (caller_steps.BadStep, speech.BadSource, ValueError) as error:
        parser.error(str(error))
    if bad := [each for each in options.parameter if "=" not in each]:
        parser.error(f"--parameter {bad[0]}: write NAME=VALUE")
    if options.connect_to and not options.connect_to.rpartition(":")[2].isdigit():
        parser.error(f"--connect-to {options.connect_to}: write HOST:PORT")
    return options


async def run(options, out):
    journal = Journal(out, monotonic_ms())
    stream = MediaStream(journal, options.steps, stream_sid=options.stream_sid, call_sid=options.call_sid, account_sid=options.account_sid,
                         parameters=dict(each.split("=", 1) for each in options.parameter), start_delay_ms=options.start_delay_ms,
                         media_before_start=options.media_before_start, longest_ms=options.longest_ms)
    signature = None if options.no_signature else options.signature or signature_of(options.auth_token, options.signed_url or options.url)
    host, _, port = (options.connect_to or "").rpartition(":")
    status = await call(options.url, stream, journal, signature=signature, connect_to=(host, int(port)) if port else None,
                        tls=tls_of(options))
    if options.heard:
        audio.write_wav(options.heard, audio.PCMU.decode(bytes(stream.heard)), audio.PCMU.rate)
    return status


def main():
    options = parse_options(sys.argv[1:])
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    with open(options.log, "w", encoding="utf-8") if options.log else os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        return asyncio.run(run(options, out))


if __name__ == "__main__":
    sys.exit(main())
