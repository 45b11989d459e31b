"""The queue: a Celery application on Redis, and a handler with next to nothing to do."""

import os

from celery import Celery

app = Celery("jobs", broker=f"redis+socket://{os.environ['REDIS_SOCKET']}?virtual_host=0")
app.conf.update(
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    broker_pool_limit=40,  # as many as web.py has threads
    worker_prefetch_multiplier=128,  # as its documentation advises for short tasks
    worker_disable_rate_limits=True,
    broker_transport_options={"visibility_timeout": 3600},
)


@app.task
def handle(event):
    return len(event["data"]["resource"]["id"])
