"""That a server refuses what is forged: without that it measures nothing to be fast."""

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import time

from servers import Failure


def check(server, traffic):
    """One good request is acknowledged, three bad ones are not; the good one is an event more."""
    key = base64.b64decode(traffic.secret.removeprefix("whsec_"))
    now = int(time.time())

    def status(what, signed_with=key, at=now, change=b"", answers=()):
        event_id = "EV" + secrets.token_hex(16)
        context = {"conversationId": "CN1", "contacts": {"ids": ["CT1"], "lookupStatus": "matched"}, "senderIdentifier": "+14155550100",
                   "recipientIdentifiers": ["+14155550199"], "orgId": "OR1", "phoneNumberId": "PN1", "userId": "US1"}
        resource = {"id": "AC" + event_id[2:], "direction": "incoming", "text": "Hello", "media": [], "status": "received",
                    "createdAt": "2026-11-20T08:14:59.000Z"}
        body = json.dumps({"id": event_id, "apiVersion": "2026-03-30", "createdAt": "2026-11-20T08:15:00.000Z", "type": "message.received",
                           "data": {"resource": resource, "context": context}}).encode()
        mac = base64.b64encode(hmac.digest(signed_with, f"{event_id}.{at}.".encode() + body, hashlib.sha256)).decode()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        try:
            connection.request("POST", traffic.path, body.replace(b"Hello", b"Hell" + change) if change else body, {
                "Content-Type": "application/json", "webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": "v1," + mac})
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status // 100 not in answers:
            raise Failure(f"{server.name}: {what} was answered {answer.status}\n{server.log_tail()}")

    status("a request signed as it should be", answers=(2,))
    status("one signed with another key", signed_with=secrets.token_bytes(32), answers=(4, 5))
    status("one with a body changed after it was signed", change=b"?", answers=(4, 5))
    status("one of an hour ago", at=now - 3600, answers=(4, 5))
