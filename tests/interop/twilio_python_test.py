#!/usr/bin/python3
"""Holds the plugin's signatures to those of Twilio's python library (Debian: python3-twilio), on generated requests.

Three ways for each request: theirs signed and ours accepts, ours signed and theirs accepts, altered and both reject. Names of
parameters are unique: this version of the library knows no repeated ones.
Usage: twilio_python_test.py TWILIO_INTEROP TWILIO.so [SEED]. Exit status: 0 all agree, 1 not.
"""

import hashlib
import json
import random
import string
import subprocess
import sys
import urllib.parse

try:
    from twilio.request_validator import RequestValidator
except ImportError as error:
    sys.exit(f"FAILED: {error}: install the Debian package python3-twilio (packaging/install-dependencies.sh test); "
             f"this is {sys.executable}")

COUNT = 300  # of each kind of direction
SEED = 20261120
FORM = "application/x-www-form-urlencoded"


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, alphabet, low, high):
        return "".join(self.random.choice(alphabet) for _ in range(self.random.randint(low, high)))

    def value(self):
        r = self.random
        kinds = [lambda: "", lambda: "+1415555" + self.text(string.digits, 4, 4), lambda: self.text(" \t+&=%<>\"'\r\n\0", 1, 8),
                 lambda: self.text(string.ascii_letters + string.digits + " ", 1, 40),
                 lambda: self.text("äß€漢字\u0000\ufffd\ue000\U0001f600\U0010fffd", 1, 10),
                 lambda: self.text(string.printable, 100, 400)]
        return r.choice(kinds)()

    def name(self):
        ends = ["", "", "_1", ".x", "é", "\U0001f600", " ", "%41", "[]"]
        return self.text(string.ascii_letters, 1, 12) + self.random.choice(ends)

    def parameters(self):
        names = {self.name() for _ in range(self.random.choice([0, 1, 2, 5, 20, 40]))}
        parameters = [(name, self.value()) for name in names]
        self.random.shuffle(parameters)
        return dict(parameters)

    def url(self):
        r = self.random
        host = r.choice(["hooks.example.org", "Hooks.Example.ORG", "192.0.2.7", "a-b.c.example"])
        port = r.choice(["", "", ":443", ":80", ":8443", ":65535"])
        path = "".join("/" + self.text(string.ascii_letters + string.digits + "-._~!$&'()*+,=:@", 1, 10)
                       for _ in range(r.randint(1, 4)))
        path += r.choice(["", "", "/", "%20x", "%C3%A9", "//a"])
        query = "&".join(self.text(string.ascii_letters, 1, 5) + r.choice(["", "=", "=a+b", "=%2B", "=c%20d", "='x'", "=?/:@"])
                         for _ in range(r.choice([0, 0, 1, 3])))
        return r.choice(["https", "https", "http"]) + "://" + host + port + path + ("?" + query if query else "")

    def request(self):
        """A request as the gateway gets it, and what their library is told of it: `params`."""
        token, url = self.text(string.hexdigits, 1, 40), self.url()
        kind = self.random.choice(["form", "form", "form", "json", "url", "get"])
        if kind == "form":
            params = self.parameters()
            return {"token": token, "url": url, "content_type": self.form_type(), "body": self.encode(params), "params": params}
        if kind == "json":
            body = json.dumps(self.parameters() or {"a": 1}, ensure_ascii=self.random.random() < 0.5)
            url += ("&" if "?" in url else "?") + "bodySHA256=" + hashlib.sha256(body.encode()).hexdigest()
            return {"token": token, "url": url, "content_type": "application/json", "body": body, "params": body}
        request = {"token": token, "url": url, "body": "", "params": {}}
        return request | ({"method": "GET"} if kind == "get" else {})

    def form_type(self):
        return self.random.choice([FORM, FORM + "; charset=UTF-8", FORM.title()])

    def encode(self, params):
        quote = self.random.choice([urllib.parse.quote_plus, urllib.parse.quote])
        return urllib.parse.urlencode(params, quote_via=quote, safe=self.random.choice(["", "/:@!$'()*,;"]))

    def signed_url(self, url):
        """One of the ways in which the provider may have signed it: as it is, without its port, with the default one."""
        parts = urllib.parse.urlsplit(url)
        default = ":443" if parts.scheme == "https" else ":80"
        other = parts.netloc.split(":")[0] if parts.port else parts.netloc + default
        return self.random.choice([url, url.replace(parts.netloc, other, 1)])

    def altered(self, request):
        """The same with one thing altered, under the old signature."""
        request = dict(request)
        form = isinstance(request["params"], dict) and bool(request["params"])
        body = isinstance(request["params"], str)
        what = self.random.choice(["signature", "url", "token"] + ["value", "added", "removed"] * form + ["body"] * 2 * body)
        if what == "signature":
            at = self.random.randrange(27)
            old = request["signature"][at]
            new = self.random.choice([c for c in string.ascii_letters + string.digits + "+/" if c != old])
            request["signature"] = request["signature"][:at] + new + request["signature"][at + 1:]
        elif what == "url":
            before, mark, query = request["url"].partition("?")
            request["url"] = before + "x" + mark + query
        elif what == "token":
            request["token"] += "0"
        elif what == "body":
            request["body"] = request["params"] = request["body"] + " "
        else:
            params = dict(request["params"])
            name = self.random.choice(list(params))
            if what == "value":
                params[name] += "x"
            elif what == "removed":
                del params[name]
            else:
                params[name + "x"] = "1"
            request |= {"params": params, "body": self.encode(params), "content_type": FORM}
        return request, what


def ask(command, requests):
    lines = "".join(json.dumps({k: v for k, v in request.items() if k != "params"}) + "\n" for request in requests)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=100, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(answers) != len(requests):
        sys.exit(f"FAILED: {command[0]} answered {len(answers)} of {len(requests)} lines: {done.stderr}")
    return answers


def their_signature(request, url):
    params = request["params"] if isinstance(request["params"], dict) else {}
    return RequestValidator(request["token"]).compute_signature(url, params)


def they_accept(request):
    return RequestValidator(request["token"]).validate(request["url"], request["params"], request["signature"])


def main():
    command, seed = sys.argv[1:3], int(sys.argv[3]) if len(sys.argv) > 3 else SEED
    print(f"seed {seed}")
    generate, faults = Generator(seed), []

    def expect(wanted, got, who, request):
        if wanted != got:
            faults.append(f"{who} should {'accept' if wanted else 'reject'}: {json.dumps(request)}")

    theirs = [generate.request() for _ in range(COUNT)]
    for request in theirs:
        request["signature"] = their_signature(request, generate.signed_url(request["url"]))
    for request, answer in zip(theirs, ask(command, theirs)):
        expect(True, answer["accepted"], "ours", request)

    ours = [generate.request() for _ in range(COUNT)]
    for request, answer in zip(ours, ask(command, ours)):
        request["signature"] = answer["signature"]
        expect(True, they_accept(request), "theirs", request)

    altered = [generate.altered(request) for request in theirs + ours]
    for (request, what), answer in zip(altered, ask(command, [request for request, _ in altered])):
        expect(False, answer["accepted"], f"ours ({what} altered)", request)
        expect(False, they_accept(request), f"theirs ({what} altered)", request)

    for fault in faults[:20]:
        print(fault)
    kinds = {what for _, what in altered}
    if len(kinds) != 7:
        faults.append(f"not every alteration was made: {sorted(kinds)}")
    print(f"{COUNT} signed by theirs, {COUNT} by ours, {len(altered)} altered ({', '.join(sorted(kinds))}): {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
