"""A certificate authority of a test's own, and a server's certificate by it, made by the `openssl` command."""
import os
import subprocess

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]


def make_certificates(folder, name="localhost"):
    """(file of the authority, of the certificate, of its key), PEM."""
    ca, ca_key, certificate, key = (os.path.join(folder, file) for file in ("ca.pem", "ca.key", "server.pem", "server.key"))
    _openssl("-subj", "/CN=A test's authority", "-keyout", ca_key, "-out", ca)
    _openssl("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE",
             "-CA", ca, "-CAkey", ca_key, "-keyout", key, "-out", certificate)
    return ca, certificate, key


def _openssl(*options):
    subprocess.run(["openssl", "req", "-x509", *_KEY, *options], check=True, stdin=subprocess.DEVNULL, capture_output=True)
