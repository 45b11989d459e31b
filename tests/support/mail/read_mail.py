#!/usr/bin/python3
"""Reads a mail with Python's email package, which is not ours, and says as JSON what it found.

    read_mail.py [--stored] FILE      {"headers": [[name, value], …], "body": PART, "defects": […], "wire": {…}}

A PART is {"type", "charset", "disposition", "file_name", "id", "encoding", "text" | "sha256" + "size", "parts"}. "wire" is what the bytes
themselves show: the longest line, bare CRs and LFs, lines that begin with a dot, whether all of it is ASCII. --stored: a file of a mail
server's, whose lines end with LF.
"""
import email
import email.policy
import hashlib
import json
import re
import sys


def part_of(message):
    part = {
        "type": message.get_content_type(),
        "charset": message.get_content_charset(),
        "disposition": message.get_content_disposition(),
        "file_name": message.get_filename(),
        "id": message["content-id"],
        "encoding": message["content-transfer-encoding"],
        "boundary": message.get_boundary(),
        "defects": [repr(defect) for defect in message.defects],
    }
    if message.is_multipart():
        part["parts"] = [part_of(inner) for inner in message.iter_parts()]
    elif message.get_content_maintype() == "text" and message.get_content_disposition() != "attachment":
        part["text"] = message.get_content().replace("\r\n", "\n")
    else:
        content = message.get_payload(decode=True)
        part["sha256"], part["size"] = hashlib.sha256(content).hexdigest(), len(content)
    return part


def wire_of(raw):
    lines = raw.split(b"\r\n")
    return {
        "longest_line": max(len(line) for line in lines),
        "bare": len(re.findall(rb"\r(?!\n)|(?<!\r)\n", raw)),
        "dots": sum(line.startswith(b".") for line in lines),
        "ascii": raw.isascii(),
        "ends_with_line_end": raw.endswith(b"\r\n"),
        "longest_encoded_word": max([len(word) for word in re.findall(rb"=\?[^? ]+\?[bqBQ]\?[^? ]*\?=", raw)] or [0]),
        "size": len(raw),
    }


def words_of(raw):
    """Each encoded word must be whole characters by itself."""
    head = raw.split(b"\r\n\r\n")[0]
    for charset, _, text in re.findall(rb"=\?([^? ]+)\?([bB])\?([^? ]*)\?=", head):
        import base64
        base64.b64decode(text, validate=True).decode(charset.decode())


def main():
    raw = open(sys.argv[-1], "rb").read()
    if sys.argv[1] == "--stored":
        raw = raw.replace(b"\n", b"\r\n")
    words_of(raw)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    found = {
        "headers": [[name, str(value)] for name, value in message.items()],
        "header_defects": [f"{name}: {defect!r}" for name, value in message.items() for defect in value.defects],
        "raw_headers": raw.split(b"\r\n\r\n")[0].decode("utf-8", "surrogateescape"),
        "body": part_of(message),
        "wire": wire_of(raw),
        "addresses": {name: [[a.display_name, a.addr_spec] for a in message[name].addresses]
                      for name in ("From", "To", "Cc", "Reply-To") if message[name] is not None},
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
