"""What one would build instead of Postern, as its users would, each with its queue and its workers. The sources are in ../peers."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time

import npm
from measure import MESSAGES
from servers import Failure, Server, end

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
PYTHON = ("/usr/bin/python3", "-m")  # Debian's, as its packages


def output(*command, cwd=None, env=None):
    return subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
                          process_group=0).stdout.strip()


class Queue(Server):
    """A server before a redis-server of its own, and its workers. `tuning` says how many of them, and what else was found faster."""

    fsync = "always"
    tuning: dict
    wait_keys: tuple  # where jobs wait or run: (command, key)

    def __init__(self, folder, tuning):
        super().__init__(folder)
        self.tuning = tuning
        self.socket = os.path.join(folder, "redis.sock")
        if len(self.socket) > 100:
            raise Failure(f"{folder} is too long a name for a socket in it; set TMPDIR to a shorter one")

    def start(self):
        # Debian's settings but for: a socket instead of TCP and no dumps beside the log, both of which only make it faster.
        self.spawn(["redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700", "--dir", self.folder,
                    "--appendonly", "yes", "--appendfsync", self.fsync, "--save", ""], {})
        last = time.monotonic() + 20
        while not os.path.exists(self.socket):
            if time.monotonic() > last:
                raise Failure(f"{self.name}: redis-server does not start:\n{self.log_tail()}")
            time.sleep(0.02)
        environment = {"POSTERN_LOAD_SECRET": MESSAGES.secret, "REDIS_SOCKET": self.socket, "WEBHOOK_PATH": MESSAGES.path,
                       "PORT": str(self.port), **self.environment()}
        for command in self.commands():
            self.spawn(command, environment)

    def redis(self, *commands, database=0):
        """The integers that the commands answer, all read at one moment."""
        import redis  # only who measures peers has it

        try:
            with redis.Redis(unix_socket_path=self.socket, db=database, socket_timeout=60) as client:
                pipeline = client.pipeline(transaction=True)
                for command in commands:
                    pipeline.execute_command(*command)
                return [int(answer) for answer in pipeline.execute()]
        except redis.RedisError as error:
            raise Failure(f"{self.name}: redis-server: {error}:\n{self.log_tail()}") from error

    def drain(self):
        """Returns when every job is handled."""
        for _ in range(600):
            counters = self.counters()
            if counters["events"] == counters["settled"]:
                return counters
            if self.ended():
                break
            time.sleep(0.1)
        raise Failure(f"{self.name}: {counters['events'] - counters['settled']} jobs stay queued:\n{self.log_tail()}")


class Express(Queue):
    """Express + BullMQ: web processes with the cluster module, a worker process with many jobs at a time."""

    name = "Express + BullMQ, always"
    modules = None  # where npm has installed them

    @staticmethod
    def tunings(cpus):
        return [{"web processes": processes, "worker processes": 1, "auto-pipelining": pipelining}
                for processes in sorted({1, min(2, cpus)}) for pipelining in (False, True)]

    @classmethod
    def install(cls, build):
        """What package-lock.json names, into a folder of the build, with the sources beside it."""
        source, cls.modules = os.path.join(PEERS, "express"), os.path.join(build, "express")
        npm.install(source, cls.modules, "web.js", "worker.js")

    @classmethod
    def versions(cls):
        return {"Node.js": output("node", "--version").lstrip("v"), **npm.versions(cls.modules, "express", "bullmq", "ioredis")}

    def environment(self):
        return {"NODE_ENV": "production", "WEB_PROCESSES": str(self.tuning["web processes"]), "WORKER_CONCURRENCY": "100",
                "PIPELINING": str(int(self.tuning["auto-pipelining"]))}

    def commands(self):
        yield from [["node", os.path.join(self.modules, "worker.js")]] * self.tuning["worker processes"]
        yield ["node", os.path.join(self.modules, "web.js")]

    def counters(self):
        """Jobs, each one a key of its own; handled ones stay, so that their ids are known."""
        *waiting, completed, failed = self.redis(*(("LLEN", f"bull:events:{key}") for key in ("wait", "active", "paused")),
                                                 *(("ZCARD", f"bull:events:{key}") for key in ("prioritized", "delayed")),
                                                 *(("ZCARD", f"bull:events:{key}") for key in ("completed", "failed")))
        if failed:
            raise Failure(f"{self.name}: {failed} jobs failed:\n{self.log_tail()}")
        return {"events": sum(waiting) + completed, "settled": completed}

    def handled(self):
        return self.counters()["settled"]


class ExpressEverysec(Express):
    """The same, where a power cut takes the last second's events with it."""

    name = "Express + BullMQ, everysec"
    fsync = "everysec"


class Celery(Queue):
    """FastAPI + Celery: uvicorn with uvloop and httptools, prefork workers."""

    name = "FastAPI + Celery, always"

    @staticmethod
    def tunings(cpus):
        return [{"web processes": processes, "worker processes": workers, "publish": publish}
                for processes, workers in sorted({(1, 1), (min(2, cpus), 1), (min(2, cpus), min(2, cpus))})
                for publish in ("threads", "loop")]

    @staticmethod
    def versions():
        code = ("from importlib.metadata import version; import json, platform; print(json.dumps({'Python': platform.python_version(), "
                "**{name: version(name) for name in ('fastapi', 'uvicorn', 'uvloop', 'httptools', 'celery', 'kombu', 'redis')}}))")
        return json.loads(output(PYTHON[0], "-c", code))

    def environment(self):
        return {"PYTHONPATH": os.path.join(PEERS, "celery"), "PYTHONDONTWRITEBYTECODE": "1", "PUBLISH": self.tuning["publish"]}

    def commands(self):
        yield [*PYTHON, "celery", "-A", "jobs", "worker", "--concurrency", str(self.tuning["worker processes"]), "--loglevel", "error",
               "--without-gossip", "--without-mingle", "--without-heartbeat"]
        yield [*PYTHON, "uvicorn", "web:app", "--host", "127.0.0.1", "--port", str(self.port), "--workers",
               str(self.tuning["web processes"]), "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
               "--backlog", "4096", "--timeout-keep-alive", "75"]

    def counters(self):
        """Of each queued task there is the key by which its id is known; the rest waits, or a worker has taken it and not begun."""
        waiting = sum(self.redis(("LLEN", "celery"), ("HLEN", "unacked")))
        events, = self.redis(("DBSIZE",), database=1)
        return {"events": events, "settled": max(0, events - waiting)}

    def handled(self):
        """What the workers themselves have counted."""
        try:
            answer = output(*PYTHON, "celery", "-A", "jobs", "inspect", "stats", "--json", "--timeout", "10", cwd=self.folder,
                            env={**os.environ, "REDIS_SOCKET": self.socket, **self.environment()})
            return sum(sum(worker["total"].values()) for worker in json.loads(answer.splitlines()[-1]).values())
        except (subprocess.SubprocessError, ValueError, IndexError, KeyError) as error:
            raise Failure(f"{self.name}: celery inspect stats: {error}:\n{self.log_tail()}") from error


class Webhook(Server):
    """adnanh/webhook: a process for each request, which is check, queue and handler in one."""

    name = "webhook"

    def __init__(self, folder, _):
        super().__init__(folder)
        self.spool = os.path.join(folder, "spool")

    @staticmethod
    def tunings(_):
        return [{}]

    @staticmethod
    def versions():
        return {"webhook": output("webhook", "-version").split()[-1], "perl": output("perl", "-e", "print substr($^V, 1)")}

    def prepare(self):
        os.mkdir(self.spool)
        prefix, _, name = MESSAGES.path.strip("/").rpartition("/")
        arguments = [{"source": "header", "name": f"webhook-{part}"} for part in ("id", "timestamp", "signature")]
        hook = {"id": name, "http-methods": ["POST"], "execute-command": os.path.join(PEERS, "webhook", "take.pl"),
                "command-working-directory": self.folder, "include-command-output-in-response": True,
                "pass-arguments-to-command": [*arguments, {"source": "raw-request-body"}],
                "response-headers": [{"name": "Content-Type", "value": "application/json"}]}
        with open(os.path.join(self.folder, "hooks.json"), "w", encoding="utf-8") as file:
            json.dump([hook], file)
        key = base64.b64decode(MESSAGES.secret.removeprefix("whsec_")).hex()
        command = ["webhook", "-hooks", "hooks.json", "-ip", "127.0.0.1", "-port", str(self.port), "-urlprefix", prefix]
        return command, {"WEBHOOK_KEY_HEX": key}

    def __exit__(self, *_):
        for process in self.processes:
            end(process)
            try:
                os.killpg(process.pid, signal.SIGKILL)  # what it has started and not waited for
            except ProcessLookupError:
                pass
        super().__exit__()

    def counters(self):
        events = sum(not name.startswith(".") for name in os.listdir(self.spool))
        return {"events": events, "settled": events}

    def drain(self):
        return self.counters()

    def handled(self):
        return self.counters()["settled"]


PEER_SERVERS = (Express, ExpressEverysec, Celery, Webhook)
NEEDED = {"redis-server": "redis-server", "celery": "celery", "uvicorn": "uvicorn", "webhook": "webhook", "node": "nodejs", "npm": "npm",
          "perl": "perl"}


def missing():
    for program, package in NEEDED.items():
        if not shutil.which(program):
            return f"{program} is not installed; packaging/install-dependencies.sh bench installs {package}"
    try:
        output(PYTHON[0], "-c", "import fastapi, uvloop, httptools, celery, redis")
    except subprocess.CalledProcessError as error:
        return f"{error.stderr.strip().splitlines()[-1]}; packaging/install-dependencies.sh bench installs it"
    return None
