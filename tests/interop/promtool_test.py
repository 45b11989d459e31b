#!/usr/bin/env python3
"""Prometheus' own checker reads the /metrics of a running gateway: promtool must take it without a word.

Usage: promtool_test.py POSTERN PLUGIN_FOLDER PROBE. Exit status: 0 all is well, 1 something is not.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """gateway: {{listen: ["unix:{folder}/http.sock"], public_url: "http://127.0.0.1"}}
admin: {{socket: {folder}/admin.sock}}
store: {{kind: sqlite, path: {folder}/events.db}}
dispatch: {{retry: {{attempts: 2, base: 1ms}}}}
plugin_dir: {plugins}
plugins:
  - {{name: probe, library: {probe}, config: {{upstream: "http://127.0.0.1:9"}}}}
  - {{name: openphone, library: openphone.so, config: {{webhook_secrets: [whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0]}}}}
  - {{name: twilio, library: twilio.so, config: {{auth_tokens: [0123456789abcdef0123456789abcdef]}}}}
subscriptions:
  - {{on: 'probe."quoted\\\\.*', plugin: probe, with: {{into: it}}}}
"""


def ask(path, method, target, body=b"", headers=""):
    """One request on a connection of its own: status and body."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), content


def wait_until_ready(path, gateway):
    until = time.monotonic() + 20
    while time.monotonic() < until and gateway.poll() is None:
        try:
            if ask(path, "GET", "/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.02)
    raise SystemExit("the gateway does not answer")


def send_some(folder):
    """Of each way to end one, so that every family has something in it."""
    for number, what in enumerate(["done", "dead", "retry", "emit"]):
        event = {"id": str(number), "type": "test", "do": what}
        status, _ = ask(folder / "http.sock", "POST", "/probe", json.dumps(event).encode(), "Content-Type: application/json\r\n")
        if status != 200:
            raise SystemExit(f"the event to {what} was answered {status}")
    ask(folder / "http.sock", "POST", "/nowhere", b"x")
    ask(folder / "http.sock", "POST", "/probe/reply/echo", b"x")


def settled_metrics(folder):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        status, text = ask(folder / "admin.sock", "GET", "/metrics")
        if status != 200:
            raise SystemExit(f"/metrics was answered {status}")
        if b"\nwebhook_queue_size 0\n" in text:
            return text
        time.sleep(0.02)
    raise SystemExit("the events were not settled in time")


def check(text):
    """The complaints of promtool; it exits 0 in spite of some of them."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def main():
    postern, plugins, probe = sys.argv[1:4]
    status, said = check(b"# TYPE broken counter\nbroken{a=} 1\n")
    if status == 0:
        raise SystemExit(f"promtool takes what is broken: {said}")
    with tempfile.TemporaryDirectory(prefix="pst-") as name:
        folder = Path(name)
        (folder / "gateway.yaml").write_text(CONFIG.format(folder=folder, plugins=plugins, probe=probe), encoding="utf-8")
        gateway = subprocess.Popen([postern, "serve", "-c", str(folder / "gateway.yaml")], stderr=subprocess.DEVNULL)
        try:
            wait_until_ready(folder / "http.sock", gateway)
            send_some(folder)
            text = settled_metrics(folder)
        finally:
            gateway.terminate()
            gateway.wait(30)
    status, said = check(text)
    if status != 0 or said.strip():
        raise SystemExit(f"promtool exited {status} and said:\n{said}\n--- of\n{text.decode()}")
    families = text.count(b"# TYPE ")
    if families < 25:
        raise SystemExit(f"only {families} families of metrics:\n{text.decode()}")
    print(f"promtool takes {families} families, {len(text.splitlines())} lines, without a word")


if __name__ == "__main__":
    main()
