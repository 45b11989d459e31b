"""What phone calls go through: Postern, and the bridge that one would write in Node instead. And the load that is both ends of them."""

import json
import os
import subprocess

import npm
from measure import CALLS
from servers import Failure, Postern, Server, end, free_port

PATH = "/api/v1/voice/media-stream"
PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
RAMP = 100  # calls that begin in a second
FRAMES_PER_S = 50  # of a call, each way
LEAST_OFFERED = 0.99  # of them

# All that is not here has its default.
_POSTERN = """gateway:
  listen: [127.0.0.1:{port}]
  public_url: {public_url}
admin: {{socket: admin.sock}}
store: {{kind: sqlite, path: events.db}}
plugin_dir: {plugins}
plugins:
  - name: twilio
    library: twilio.so
    config: {{auth_tokens: ["${{env:POSTERN_LOAD_SECRET}}"]}}
  - name: openai_realtime
    library: openai_realtime.so
    config:
      api_key: sk-of-the-benchmark
      url: ws://127.0.0.1:{model_port}/v1/realtime
      media_streams: {{signed_by: twilio, token: optional}}
"""


class VoicePostern(Postern):
    """The gateway with the plugins twilio and openai_realtime, which checks the signature of each stream."""

    signed = True

    def __init__(self, folder, build):
        super().__init__(folder, build, CALLS)
        self.model_port = free_port()

    def prepare(self):
        with open(os.path.join(self.folder, "gateway.yaml"), "w", encoding="utf-8") as file:
            file.write(_POSTERN.format(port=self.port, public_url=CALLS.public_url, plugins=json.dumps(self.plugins),
                                       model_port=self.model_port))
        return [self.binary, "serve", "-c", "gateway.yaml"], {"POSTERN_LOAD_SECRET": CALLS.secret}


class NodeBridge(Server):
    """fastify, @fastify/websocket and ws, after Twilio's sample."""

    name = "Node bridge"
    signed = False
    modules = None  # where npm has installed them

    def __init__(self, folder, processes):
        super().__init__(folder)
        self.model_port = free_port()
        self.count = processes
        if processes > 1:
            self.name = f"Node bridge, {processes} processes"

    @classmethod
    def install(cls, build):
        cls.modules = os.path.join(build, "node_bridge")
        npm.install(os.path.join(PEERS, "node_bridge"), cls.modules, "bridge.js")

    @classmethod
    def versions(cls):
        node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return {"Node.js": node.stdout.strip().lstrip("v"), **npm.versions(cls.modules, "fastify", "@fastify/websocket", "ws")}

    def prepare(self):
        return ["node", os.path.join(self.modules, "bridge.js")], {
            "NODE_ENV": "production", "PORT": str(self.port), "PROCESSES": str(self.count), "OPENAI_API_KEY": "sk-of-the-benchmark",
            "MODEL_URL": f"ws://127.0.0.1:{self.model_port}/v1/realtime"}


def measure(build, server, calls, seconds, more=()):
    """What postern_voice_load says of so many calls through the server, and what follows from it. `more`: options for it."""
    url = CALLS.public_url.replace("https://", "wss://") + PATH
    command = [os.path.join(build, "postern_voice_load"), "--gateway", f"127.0.0.1:{server.port}", "--model-port", str(server.model_port),
               "--calls", str(calls), "--seconds", str(seconds), "--ramp", str(RAMP), *more]
    for pid in server.pids():
        command += ["--pid", str(pid)]
    secret = {"POSTERN_LOAD_SECRET": CALLS.secret} if server.signed else {}
    if server.signed:
        command += ["--sign-url", url]
    load = subprocess.Popen(command, env={**os.environ, **secret}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            process_group=0)
    try:
        text, _ = load.communicate(timeout=seconds + calls / RAMP + 60)
    except subprocess.TimeoutExpired as error:
        raise Failure("postern_voice_load does not end") from error
    finally:
        end(load)
    if load.returncode not in (0, 1) or not text:
        raise Failure(f"postern_voice_load: exit {load.returncode}")
    if server.ended():
        raise Failure(f"{server.name} has ended:\n{server.log_tail()}")
    one = json.loads(text)
    one["server"] = server.name
    frames = one["to_model"]["sent"] + one["to_caller"]["sent"]
    # Frames that the load could not send in time were never a load: such a round says nothing about the gateway.
    one["offered"] = frames / (calls * 2 * FRAMES_PER_S * one["seconds"])
    one["whole"] = load.returncode == 0 and one["offered"] >= LEAST_OFFERED
    one["p99_ms"] = max(one[way]["p99_us"] for way in ("to_model", "to_caller")) / 1000
    one["lost"] = one["to_model"]["lost"] + one["to_caller"]["lost"]
    one["gateway"]["us_per_frame"] = one["gateway"]["cpu_s"] * 1e6 / frames if frames else 0
    if not one["talking"]:
        raise Failure(f"{server.name}: no call came to talk: {one['fault']}\n{server.log_tail()}")
    return one
