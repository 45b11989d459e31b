"""The gateway that the corpus is sent to: the daemon of tests/fault, with the plugin probe, small limits and a TLS listener."""

import os
import subprocess
import sys
from types import SimpleNamespace

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fault"))
from gateway import Failure, Gateway, die_with_parent, eventually, free_port  # noqa: E402, F401

# The patient ones are for whatever a busy machine may delay; the short ones for what ends by a deadline.
PATIENT = "{head: 10m, body: 10m, write: 10m, idle: 10m}"
SHORT = "{head: 2s, body: 2s, write: 10m, idle: 2s}"
_YAML = """gateway:
  listen:
    - 127.0.0.1:{port}
{tls}  public_url: http://127.0.0.1:{port}
  max_body: 4KiB
  deadlines: {deadlines}
admin: {{socket: {folder}/admin.sock}}
store: {{kind: sqlite, path: {folder}/events.db}}
plugins:
  - {{name: probe, library: {build}/tests/plugins/probe.so}}
"""
_TLS = "    - {{address: 127.0.0.1:{port}, tls: {{certificate: {folder}/certificate.pem, key: {folder}/key.pem}}}}\n"


class WireGateway(Gateway):
    def __init__(self, build, binary, deadlines=PATIENT, tls=False, keep=False):
        super().__init__(SimpleNamespace(build=build, binary=binary, keep=keep))
        self.tls_port = free_port() if tls else None
        if tls:
            self._make_certificate()
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(_YAML.format(port=self.port, folder=self.folder, build=build, deadlines=deadlines,
                                    tls=_TLS.format(port=self.tls_port, folder=self.folder) if tls else ""))

    def _make_certificate(self):
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                               "-subj", "/CN=wire.test", "-addext", "subjectAltName=DNS:wire.test",
                               "-keyout", f"{self.folder}/key.pem", "-out", f"{self.folder}/certificate.pem"],
                              check=False, capture_output=True, text=True)
        if made.returncode != 0:
            raise Failure(f"openssl req: {made.stderr.strip()}")
        os.chmod(f"{self.folder}/key.pem", 0o600)

    def peak_mib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024

    def stored(self):
        """Bodies by the ids of their events, once each."""
        return [(identity, bytes(body)) for identity, body in self.rows("SELECT external_id, body FROM event")]
