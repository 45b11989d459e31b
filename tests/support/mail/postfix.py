#!/usr/bin/python3
"""A real mail server: Debian's Postfix in a folder of its own, on a port of 127.0.0.1 of its own, beside whatever else this machine runs.
It touches nothing of /etc and no service. It can be killed with all its processes and started again on the same folder.

    postfix.py OPTIONS     prints "port N" and serves until SIGTERM, or until its parent ends

OPTIONS is JSON: {"folder", "certificate", "key", "user", "password"}. STARTTLS and, with a user, AUTH come before a mail is taken. Mail for
whatever address goes to one Maildir, FOLDER/mail/inbox; every mail is fsynced there, and in the queue before it is acknowledged.
It has to be started by root, as Postfix wants it.
"""
import contextlib
import ctypes
import glob
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

DAEMONS = "/usr/lib/postfix/sbin"
DOMAIN = "mail.postern.test"
_KEEPER = "nobody"  # whose mails they are in the end
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1

# Nothing here makes it faster than it is safe: only what slows down a stranger's burst is off, and waits are short.
_MAIN = """compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = {domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtp_host_lookup = native
alias_maps =
local_recipient_maps =
enable_long_queue_ids = yes
message_size_limit = 60000000

virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:inbox/
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{keeper.pw_uid}
virtual_gid_maps = static:{keeper.pw_gid}
virtual_mailbox_limit = 0
mailbox_size_limit = 0

smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_relay_restrictions = {who}
smtpd_recipient_restrictions =
smtpd_sasl_auth_enable = {sasl}
smtpd_sasl_local_domain = {domain}
smtpd_sasl_path = smtpd
smtpd_sasl_security_options = noanonymous
smtpd_sasl_tls_security_options = noanonymous

smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
in_flow_delay = 0
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
"""

# service, type, private, unprivileged, chroot, wake-up, most processes, command
_MASTER = """127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

_SASL = """pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/etc/sasldb2
mech_list: PLAIN LOGIN
"""


class MailServerFailure(Exception):
    """It does not do what it should; says why."""


def missing():
    """What this machine lacks for it, as one sentence; None when all is there."""
    if os.geteuid() != 0:
        return "Postfix is started by root alone"
    if not os.access(f"{DAEMONS}/master", os.X_OK) or not shutil.which("saslpasswd2", path="/usr/sbin:/usr/bin"):
        return "Postfix (postfix, sasl2-bin) is not installed; packaging/install-dependencies.sh test installs it"
    return None


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Postfix:
    """`folder` has to be below folders that everybody may pass. It is made where there is none, and stays. `settings`: more of main.cf."""

    def __init__(self, folder, certificate, key, user="", password="", port=None, settings=None):
        self.folder, self.port = os.path.abspath(folder), port or _free_port()
        self.process = self._keeper = None
        self._make_folders()
        self._configure(certificate, key, user, settings or {})
        if user:
            self._make_user(user, password)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self, seconds=30):
        """Until it greets; returns how long that took."""
        begin = time.monotonic()
        with open(os.path.join(self.folder, "master.out"), "ab") as out:
            # It insists on a session of its own, so that its processes are a group of their own too.
            self.process = subprocess.Popen([f"{DAEMONS}/master", "-s", "-c", f"{self.folder}/etc"], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, start_new_session=True)
        # PR_SET_PDEATHSIG does not last: the kernel forgets it when a process changes its user, as Postfix does.
        self._keeper = subprocess.Popen(["sh", "-c", f"read _; kill -s KILL -- -{self.process.pid}"], stdin=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > begin + seconds:
                self.kill()
                raise MailServerFailure(f"Postfix does not answer:\n{self.log_tail()}")
            time.sleep(0.005)
        return time.monotonic() - begin

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                greeting = connection.recv(512)
                connection.sendall(b"QUIT\r\n")
                return greeting.startswith(b"220")
        except OSError:
            return False

    def kill(self):
        """SIGKILL to every process of it, and waits until they are gone: they hold the port."""
        if self.process is None:
            return
        self._keeper.kill()  # before the group is gone, whose number may be another's then
        self._keeper.communicate()
        group = self.process.pid
        while self._alive(group):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            self.process.poll()
            time.sleep(0.001)
        self.process.wait()
        self.process = None

    @staticmethod
    def _alive(group):
        for name in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(name, encoding="utf-8", errors="replace") as file:
                    state, _, its_group = file.read().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(its_group) == group and state not in "ZX":
                return True
        return False

    def pids(self):
        """Of its processes as they are now."""
        return [self.process.pid, *_children(self.process.pid)] if self.process else []

    def queued(self):
        """Mails that it has acknowledged, and not yet delivered. A queue file without the executable bit is not yet whole: nobody was told
        that it is there."""
        count = 0
        for name in ("incoming", "active", "deferred", "hold"):
            for folder, _, files in os.walk(os.path.join(self.folder, "queue", name)):
                for file in files:
                    with contextlib.suppress(FileNotFoundError):  # delivered meanwhile
                        count += bool(os.stat(os.path.join(folder, file)).st_mode & stat.S_IXUSR)
        return count

    def inbox(self):
        return os.path.join(self.folder, "mail", "inbox", "new")

    def mails(self):
        """The files of those delivered."""
        folder = self.inbox()
        return [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []

    def log(self):
        text = ""
        for name in ("master.out", "mail.log"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += file.read()
        return text

    def log_tail(self):
        return self.log()[-3000:].strip() or "(its log is empty)"

    def _make_folders(self):
        owner, drop = pwd.getpwnam("postfix"), os.stat("/usr/sbin/postdrop").st_gid
        for name in ("", "etc", "etc/sasl", "mail", "queue", "queue/pid"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
            os.chmod(os.path.join(self.folder, name), 0o755)
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"):
            self._make_folder(f"queue/{name}", owner.pw_uid, 0, 0o700)
        self._make_folder("queue/public", owner.pw_uid, drop, 0o710)
        self._make_folder("queue/maildrop", owner.pw_uid, drop, 0o730)
        self._make_folder("data", owner.pw_uid, owner.pw_gid, 0o700)
        os.chown(os.path.join(self.folder, "mail"), pwd.getpwnam(_KEEPER).pw_uid, -1)

    def _make_folder(self, name, uid, gid, mode):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        os.chown(path, uid, gid)
        os.chmod(path, mode)

    def _configure(self, certificate, key, user, settings):
        values = {"folder": self.folder, "daemons": DAEMONS, "domain": DOMAIN, "keeper": pwd.getpwnam(_KEEPER), "certificate": certificate,
                  "key": key, "sasl": "yes" if user else "no", "port": self.port,
                  "who": "permit_sasl_authenticated, reject" if user else "permit_mynetworks, reject"}
        more = "".join(f"{name} = {value}\n" for name, value in settings.items())
        for name, text in (("main.cf", _MAIN.format(**values) + more), ("master.cf", _MASTER.format(**values)),
                           ("sasl/smtpd.conf", _SASL.format(**values))):
            with open(os.path.join(self.folder, "etc", name), "w", encoding="utf-8") as file:
                file.write(text)

    # What stands behind the last @ is the realm.
    def _make_user(self, user, password):
        name, _, realm = user.rpartition("@") if "@" in user else (user, "", DOMAIN)
        database = os.path.join(self.folder, "etc", "sasldb2")
        subprocess.run(["/usr/sbin/saslpasswd2", "-p", "-c", "-f", database, "-u", realm, name], input=password.encode(), check=True,
                       capture_output=True)
        owner = pwd.getpwnam("postfix")
        os.chown(database, owner.pw_uid, owner.pw_gid)


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def main():
    options = json.loads(sys.argv[1])
    if why := missing():
        print(why, file=sys.stderr)
        return 77
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    with Postfix(options["folder"], options["certificate"], options["key"], options.get("user", ""), options.get("password", "")) as server:
        print("port", server.port, flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
