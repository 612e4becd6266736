"""Real mail servers of the tests' own: Dovecot, never as root, from a folder that is thrown away with it.

A profile says which capabilities it offers. Every user exists, with the same password, and has an empty mailbox:
a test takes a user of its own from a server that others use as well.
"""

from __future__ import annotations

import atexit
import ctypes
import imaplib
import itertools
import os
import pwd
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.ca import TestCA
from tests.support.tools import need

PASSWORD = "planted-mailbox-password"
HOST = "127.0.0.1"
PACKAGES = "dovecot-imapd dovecot-pop3d dovecot-lmtpd"
_PDEATHSIG = 1

FULL = "full"  # all that Dovecot has
MICROSOFT = (
    "microsoft365"  # what Microsoft 365 offers: no CONDSTORE, no ESEARCH, no SPECIAL-USE, no LIST-STATUS
)
CONDSTORE = "condstore"  # MODSEQ, but no VANISHED, and neither UIDPLUS nor MOVE
PROFILES = (FULL, MICROSOFT, CONDSTORE)

_CAPABILITIES = {
    MICROSOFT: "IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+",
    CONDSTORE: "IMAP4rev1 SASL-IR ID IDLE NAMESPACE ENABLE CONDSTORE ESEARCH SPECIAL-USE LIST-EXTENDED",
}

_CONFIG = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{base}/mail/%u:LAYOUT=fs
mail_max_userip_connections = 200
mail_fsync = never
auth_mechanisms = plain login xoauth2 oauthbearer
auth_failure_delay = 0
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}
ssl_dh =
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}
{oauth}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={base}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
  mailbox Archive {{
    auto = create
    special_use = \\Archive
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service imap {{
  process_limit = 200
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
protocol imap {{
  imap_id_send =
  {capabilities}
}}
{more}
"""
_OAUTH = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {file}
}}
"""


class Dovecot:
    """Start and stop it as often as wanted; the mail lives as long as the object's folder.

    `tokeninfo_url`: where it asks whether an OAuth token is good. `more`: lines added to its configuration.
    """

    def __init__(self, profile: str = FULL, *, tokeninfo_url: str = "", more: str = "") -> None:
        self._program, self._doveadm = need("dovecot", PACKAGES), need("doveadm", PACKAGES)
        self.profile = profile
        self.folder = Path(tempfile.mkdtemp(prefix="mailferry-dovecot-")).resolve()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._uid, self._gid = _ordinary_user()
        ca = TestCA(self.folder)
        ca.server("localhost", HOST, name="dovecot")
        self.ca_file = ca.file
        for name in ("run", "state", "mail"):
            (self.folder / name).mkdir()
        atexit.register(self.destroy)
        for attempt in range(3):  # somebody else may take a port that was free just now
            self.imap, self.imaps, self.pop3, self.pop3s, self.lmtp = _free_ports(5)
            self._configure(tokeninfo_url, more)
            try:
                self.start()
                break
            except AssertionError:
                if attempt == 2:
                    raise

    def _configure(self, tokeninfo_url: str, more: str) -> None:
        oauth = self.folder / "oauth"
        oauth.write_text(
            f"tokeninfo_url = {tokeninfo_url}\nintrospection_mode = auth\nusername_attribute = email\n"
        )
        listed = _CAPABILITIES.get(self.profile)
        text = _CONFIG.format(
            base=self.folder, user=pwd.getpwuid(self._uid).pw_name, group=_group(self._gid),
            uid=self._uid, gid=self._gid, password=PASSWORD,
            certificate=next(self.folder.glob("dovecot-*.pem")),
            oauth=_OAUTH.format(file=oauth) if tokeninfo_url else "",
            capabilities=f"imap_capability = {listed}" if listed else "",
            imap=self.imap, imaps=self.imaps, pop3=self.pop3, pop3s=self.pop3s, lmtp=self.lmtp, more=more,
        )  # fmt: skip
        (self.folder / "conf").write_text(text)
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self._uid, self._gid)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-F", "-c", self.folder / "conf"], cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=(self.folder / "stderr").open("ab"),
            start_new_session=True, preexec_fn=_end_with_us, **self._as_owner(),
        )  # fmt: skip
        end = time.monotonic() + 30
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection((HOST, self.imap), 1) as sock:
                if sock.recv(100).startswith(b"* OK"):
                    return
            time.sleep(0.02)
        said = "".join(
            (self.folder / name).read_text() for name in ("stderr", "log") if (self.folder / name).exists()
        )
        raise AssertionError(f"Dovecot did not start:\n{said[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def destroy(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What tests ask of it.

    def user(self) -> str:
        """A new one's name: nobody else's mail is there."""
        return f"user{next(self._numbers)}@example.test"

    def client(self, user: str) -> imaplib.IMAP4:
        """A second client, with no code of ours in it. It sees all that the server can, whatever the profile."""
        client = imaplib.IMAP4(HOST, self.imap)
        client.login(user, PASSWORD)
        return client

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)

    def deliver(self, user: str, letter: bytes, sender: str = "ann@example.com") -> None:
        """By LMTP, as a mail server would."""
        with smtplib.LMTP(HOST, self.lmtp) as lmtp:
            lmtp.sendmail(sender, [user], letter)

    def doveadm(self, *arguments: str) -> str:
        command = [self._doveadm, "-c", str(self.folder / "conf"), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, cwd=self.folder, **self._as_owner())
        assert done.returncode == 0, f"{arguments}: {done.stderr.decode()}"
        return done.stdout.decode()

    def change_uidvalidity(self, user: str, folder: str, value: int) -> None:
        self.doveadm("mailbox", "update", "-u", user, "--uid-validity", str(value), folder)

    def mail_folder(self, user: str) -> Path:
        """Where the user's mail is on disk, as Maildir."""
        return self.folder / "mail" / user

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _as_owner(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        return {"user": self._uid, "group": self._gid, "extra_groups": []}


@cache
def shared(profile: str = FULL) -> Dovecot:
    """One of each profile per process of pytest. Skips where Dovecot is not installed, fails so where CI=true."""
    return Dovecot(profile)


def _ordinary_user() -> tuple[int, int]:
    """Dovecot gives root's rights to no mailbox, and needs none of them."""
    if os.geteuid() != 0:
        return os.getuid(), os.getgid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _group(gid: int) -> str:
    import grp

    return grp.getgrgid(gid).gr_name


def _end_with_us() -> None:
    """Whatever ends the tests, the kernel then ends the server."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)


def _free_ports(count: int) -> list[int]:
    """All different: they are kept until the last is known."""
    listeners = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
