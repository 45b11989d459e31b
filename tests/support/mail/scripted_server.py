#!/usr/bin/python3
"""A mail server that does what a script says, also what no server should do. It is strict itself: a command out of order, a blank behind
MAIL FROM:, a bare CR or LF is answered 5xx.

    scripted_server.py SCRIPT      prints "port N", then a JSON line for all that comes

SCRIPT is JSON: {"tls": "none"|"starttls"|"implicit", "certificate", "key", "connections": [RULES, …]}; the last RULES are those of all later
connections. RULES: {"greeting": REPLY, "capabilities": [line, …], "replies": {COMMAND: REPLY}, "delays": {COMMAND: seconds},
"after_mail": REPLY, "body": "drop"|"stall"}. A COMMAND is the beginning of a command line, "." the end of a mail, "challenge" what comes
within AUTH; the longest that fits counts. A REPLY is text, or "!drop", "!hang", "!flood" (10,000 lines), "!long" (a line of 10 MB).

Lines printed: {"n": connection, "tls": bool, "line"} for each command, {"n", "mail": {"from", "to", "content"}} for a mail with its final dot,
{"n", "event": "connected"|"closed"|"no tls"|"half a mail"}. "content" is base64.
"""
import base64
import json
import socket
import ssl
import sys
import threading
import time

lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


class Gone(Exception):
    pass


class Connection:
    def __init__(self, sock, number, rules, script):
        self.sock, self.n, self.rules, self.script = sock, number, rules, script
        self.tls = False
        self.buffer = b""
        self.context = None
        if script.get("certificate"):
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if script.get("old_tls"):
                self.context.minimum_version = ssl.TLSVersion.TLSv1
                self.context.set_ciphers("ALL:@SECLEVEL=0")
                self.context.maximum_version = ssl.TLSVersion.TLSv1_1
            self.context.load_cert_chain(script["certificate"], script["key"])

    def fill(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise Gone()
        self.buffer += piece

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
            if len(self.buffer) > 100_000:
                raise Gone()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line + b"\n"

    def send(self, text):
        if text == "!drop":
            raise Gone()
        if text == "!hang":
            while True:
                self.fill()
        if text == "!flood":
            return self.sock.sendall(b"".join(b"250-line %d\r\n" % i for i in range(10_000)) + b"250 end\r\n")
        if text == "!long":
            return self.sock.sendall(b"250 " + b"x" * 10_000_000 + b"\r\n")
        self.sock.sendall(text.encode("latin-1") + b"\r\n")

    def reply(self, command, usual):
        best = max((key for key in self.rules.get("replies", {}) if command.upper().startswith(key.upper())), key=len, default=None)
        delay = max((seconds for key, seconds in self.rules.get("delays", {}).items() if command.upper().startswith(key.upper())), default=0)
        time.sleep(delay)
        text = usual if best is None else self.rules["replies"][best]
        self.send(text)
        return text

    def start_tls(self):
        try:
            self.sock = self.context.wrap_socket(self.sock, server_side=True)
        except (ssl.SSLError, OSError) as error:
            say(n=self.n, event="no tls", error=str(error))
            raise Gone()
        self.tls = True

    def run(self):
        if self.script["tls"] == "implicit":
            self.start_tls()
        self.send(self.rules.get("greeting", "220 scripted ready"))
        greeted = sender = False
        recipients = []
        while True:
            raw = self.line()
            line = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            say(n=self.n, tls=self.tls, line=line.encode("utf-8", "replace").decode())
            verb = line.split(" ")[0].upper()
            if not raw.endswith(b"\r\n"):
                self.send("500 bare LF")
            elif verb in ("EHLO", "HELO"):
                greeted = True
                self.reply(line, self.capabilities())
            elif verb == "STARTTLS":
                if self.reply(line, "220 go").startswith("220"):
                    self.buffer = b""
                    self.start_tls()
                    greeted = False
            elif verb == "AUTH":
                self.auth(line)
            elif verb == "MAIL":
                ok = greeted and line[5:11].upper() == "FROM:<" and " " not in line[10:line.index(">")]
                sender = line[11:line.index(">")] if ok else False
                recipients = []
                if not self.reply(line, "250 ok" if ok else "501 syntax").startswith("2"):
                    sender = False
            elif verb == "RCPT":
                ok = sender is not False and line[5:9].upper() == "TO:<"
                if self.reply(line, "250 ok" if ok else "503 order").startswith("2"):
                    recipients.append(line[9:line.rindex(">")])
            elif verb == "DATA":
                if self.reply(line, "354 go" if recipients else "503 order").startswith("354"):
                    self.body(sender, recipients)
                    sender = False
            elif verb == "QUIT":
                self.reply(line, "221 bye")
                raise Gone()
            else:
                self.reply(line, "250 ok" if verb in ("NOOP", "RSET") else "500 unknown")

    def capabilities(self):
        lines = list(self.rules.get("capabilities", ["SIZE 50000000", "8BITMIME", "AUTH PLAIN LOGIN"]))
        if self.script["tls"] == "starttls" and not self.tls and not self.script.get("hide_starttls"):
            lines = [one for one in lines if not one.startswith("AUTH")] + ["STARTTLS"]
        lines = ["scripted greets"] + lines
        return "\r\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{one}" for i, one in enumerate(lines))

    def auth(self, line):
        answer = self.reply(line, "") if line.upper() in map(str.upper, self.rules.get("replies", {})) else None
        rounds = {"PLAIN": ["334 "], "XOAUTH2": ["334 "], "LOGIN": ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"]}.get(line.split(" ")[1].upper(), [])
        if answer is None:
            for challenge in rounds[len(line.split(" ")) - 2:]:
                self.send(challenge)
                say(n=self.n, tls=self.tls, line=self.line().decode().strip(), auth=True)
            self.reply("challenge", "235 welcome")

    def body(self, sender, recipients):
        stall = self.rules.get("body")
        if stall == "drop":
            self.fill()
            raise Gone()
        if stall == "stall":
            time.sleep(1.5)
        content = []
        while True:
            try:
                line = self.line()
            except Gone:
                say(n=self.n, event="half a mail")
                raise
            if line == b".\r\n":
                break
            if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                say(n=self.n, event="bare line end")
            content.append(line[1:] if line.startswith(b".") else line)
        say(n=self.n, mail={"from": sender, "to": recipients, "content": base64.b64encode(b"".join(content)).decode()})
        self.reply(".", "250 2.0.0 stored")
        if self.rules.get("after_mail"):
            self.send(self.rules["after_mail"])
            raise Gone()


def serve(sock, number, rules, script):
    connection = Connection(sock, number, rules, script)
    say(n=number, event="connected")
    try:
        connection.run()
    except (Gone, OSError):
        pass
    say(n=number, event="closed")
    connection.sock.close()


def main():
    script = json.loads(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print("port", listener.getsockname()[1], flush=True)
    number = 0
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rules = script.get("connections") or [{}]
        threading.Thread(target=serve, args=(sock, number + 1, rules[min(number, len(rules) - 1)], script), daemon=True).start()
        number += 1


if __name__ == "__main__":
    main()
