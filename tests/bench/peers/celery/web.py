"""A webhook receiver with FastAPI and Celery, written as well as its user can: it checks the signature over the bytes as they came, queues
the event unless its id is known, and answers once Redis has it."""

import base64
import hashlib
import hmac
import json
import os
import time

import redis
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from jobs import handle

KEEP_S = 3 * 24 * 3600  # providers repeat an event for that long
TOLERANCE_S = 300
KEY = base64.b64decode(os.environ["POSTERN_LOAD_SECRET"].removeprefix("whsec_"))
IN_THREADS = os.environ["PUBLISH"] == "threads"

# A task's id does not keep Celery from queueing it twice: that needs a key of its own.
known = redis.Redis(unix_socket_path=os.environ["REDIS_SOCKET"], db=1)
app = FastAPI(openapi_url=None)


def verified(headers, body):
    event_id, seconds = headers.get("webhook-id"), headers.get("webhook-timestamp", "")
    if not event_id or not seconds.isdecimal() or abs(time.time() - int(seconds)) > TOLERANCE_S:
        return False
    mac = hmac.digest(KEY, f"{event_id}.{seconds}.".encode() + body, hashlib.sha256)
    own = b"v1," + base64.b64encode(mac)
    return any(hmac.compare_digest(own, each.encode()) for each in headers.get("webhook-signature", "").split(" "))


def enqueue(event_id, event):
    """False when the event is there already."""
    if not known.set(event_id, 1, nx=True, ex=KEEP_S):
        return False
    try:
        handle.apply_async((event,), task_id=event_id)
    except BaseException:
        known.delete(event_id)  # nobody has it: the provider is to send it again
        raise
    return True


@app.post(os.environ["WEBHOOK_PATH"])
async def take(request: Request):
    body = await request.body()
    if not verified(request.headers, body):
        return JSONResponse({"error": "unauthorized"}, 401)
    try:
        event = json.loads(body)
    except ValueError:
        return JSONResponse({"error": "malformed"}, 422)
    event_id = request.headers["webhook-id"]
    fresh = await run_in_threadpool(enqueue, event_id, event) if IN_THREADS else enqueue(event_id, event)
    return JSONResponse({"status": "queued" if fresh else "duplicate_ignored", "event_id": event_id})
