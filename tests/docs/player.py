"""Whoever follows a page: its blocks are run one after the other in a scratch folder, against a real daemon.

What is a placeholder on the page is replaced: the relay's address, the ids that its answers gave, the servers of
providers (by one of ours that wants TLS and a login), folders. `systemctl` stops and starts the daemon.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

import config
from tests.docs.pages import Block
from tests.support.daemon import CREDENTIALS_KEY, KEY, ROOT, Daemon
from tests.support.dovecot import PASSWORD

HERE = "http://127.0.0.1:5000"
_STRICT = 'set -eao pipefail\ncurl() { command curl -sS --fail-with-body "$@"; echo; }\n'
_IDS = {
    "CONFIG": r"""["']config_id["']: ?(\d+)|^Config (\d+) is added""",
    "EMAIL": r"""["']email_id["']: ?(\d+)|^Email (\d+)""",
    "ACCOUNT": r'"id": ?"([^"]+)"',
    "FOLDER": r'"id": ?"?(\d+)"?[^{}]*?"type": ?"inbox"',
    "MESSAGE": r'"id": ?"([^"]+)"',
}
_SYSTEMCTL = re.compile(r"^systemctl (start|stop|restart) mailferry$", re.MULTILINE)
_BACKUP = "mailferry-20260123T023000Z.db"


class Player:
    """`smtp` and `imap` are ports. `folder` stands for the one that the relay was installed in."""

    def __init__(self, daemon: Daemon, folder: Path, smtp: int, imap: int = 0) -> None:
        self.daemon, self.folder, self.smtp, self.imap = daemon, folder, smtp, imap
        self.backups = folder / "backups"
        self.printed = ""
        self._before: Block | None = None
        self._state = folder / ".state"
        for one in ("app.py", "deploy"):
            if not (folder / one).exists():
                (folder / one).symlink_to(ROOT / one)
        (folder / ".env").write_text(f"API_KEY={KEY}\nCREDENTIALS_KEY={CREDENTIALS_KEY}\n")
        self.environment: dict[str, str] = {}

    def begin(self) -> None:
        """A new page, a new shell."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        keys = {"KEY": KEY, "MAILFERRY_KEY": KEY}
        self.environment = self.daemon.environment | keys | {"PATH": path, "no_proxy": "*"}

    def play(self, block: Block) -> None:
        getattr(self, f"_{block.language or 'text'}", self._unknown)(block)

    def _unknown(self, block: Block) -> None:
        raise AssertionError(f"{block}: nobody knows how to run {block.language!r}")

    def _sh(self, block: Block) -> None:
        printed = ""
        for number, part in enumerate(_SYSTEMCTL.split(self.filled(block.code))):
            if number % 2 == 0:
                printed += self._run(block, ["bash", "-c", _STRICT + part + f"\nenv -0 >'{self._state}'"])
            elif part != "start":
                self.daemon.stop()
            if number % 2 and part != "stop":
                self.daemon.start()
        self.printed, self._before = printed, block

    def _python(self, block: Block) -> None:
        self.printed = self._run(block, ["python", "-c", self.filled(block.code)])

    def _json(self, block: Block) -> None:
        shown = json.loads(block.code)
        if block.note == "prints":
            for patience in range(80):
                actual = json.loads(self.printed.strip().splitlines()[-1])
                if _fits(shown, actual):
                    return
                assert patience < 79 and self._before and " -d " not in self._before.code, (
                    f"{block}: {actual}"
                )
                time.sleep(0.25)
                self._sh(self._before)  # a reader looks again, too

    def _yaml(self, block: Block) -> None:
        assert yaml.safe_load(block.code), block

    def _text(self, block: Block) -> None:
        if block.note == "prints":
            printed = [_plain(line) for line in self.printed.splitlines()]
            for line in filter(None, map(_plain, block.code.replace("…", "").splitlines())):
                assert any(line in one for one in printed), f"{block}: {line!r} is not in {printed}"

    def _env(self, block: Block) -> None:
        """Lines of .env: each is a setting, and takes this value."""
        (self.folder / "sample.env").write_text(block.code)
        values = {name: value or "" for name, value in dotenv_values(self.folder / "sample.env").items()}
        assert values, block
        assert {name.lower() for name in values} <= set(config.Settings.__dataclass_fields__), block
        secrets = dict.fromkeys(config.SECRETS, "x" * 16)
        config.from_env(secrets | {"CREDENTIALS_KEY": CREDENTIALS_KEY} | values)

    def _run(self, block: Block, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        if command[0] == "bash":
            pairs = self._state.read_bytes().decode().split("\0")
            self.environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        self._learn(done.stdout)
        return done.stdout

    def _learn(self, printed: str) -> None:
        for name, pattern in _IDS.items():
            if found := re.findall(pattern, printed, re.MULTILINE):
                last = found[-1]
                self.environment[f"_{name}"] = last if isinstance(last, str) else next(filter(None, last))

    def filled(self, code: str) -> str:
        """The code with what its reader would put in."""
        code = code.replace(HERE, self.daemon.url).replace(
            "127.0.0.1:5000", self.daemon.url.removeprefix("http://")
        )
        code = code.replace("/mnt/backups", str(self.backups)).replace("/tmp/drill", f"{self.folder}/drill")
        if "--force" not in code:  # whoever restores has lost the database
            code = code.replace(
                "python app.py restore", 'rm -f "$DATA_DIR"/mailferry.db*; python app.py restore'
            )
        if _BACKUP in code and "--to" not in code:
            code = code.replace(_BACKUP, max(self.backups.glob("*.db")).name)
        code = re.sub(rf"^({'|'.join(_IDS)})=.*$", r"\1=$_\1", code, flags=re.MULTILINE)
        return self._account(self._server(code))

    def _server(self, code: str) -> str:
        ours = f'"smtp_host": "127.0.0.1", "smtp_port": {self.smtp}, "use_tls": true, "use_ssl": false'
        code, found = re.subn(r'"smtp_host": "[^"]*"(, "smtp_port": \d+)?', ours, code)
        if not found:
            code = re.sub(r'("provider": "\w+", "email_address")', rf"{ours}, \1", code)
        tls = f"--host 127.0.0.1 --port {self.smtp} --tls starttls"
        code = re.sub(r"--host [\w.-]+( --port \d+)?", tls, code)
        return re.sub(r"(--provider \w+)(?! --host)", rf"\1 {tls}", code)

    def _account(self, code: str) -> str:
        ours = f'"hostname": "127.0.0.1", "port": {self.imap}, "encryption": "none", "verifyTls": false'
        code, found = re.subn(r'"hostname": "imap[^"]*", "port": \d+', ours, code)
        return code.replace("an-app-password", PASSWORD) if found else code


def _plain(line: str) -> str:
    """Without what is another at each run: numbers and times."""
    return re.sub(r"\s+", " ", re.sub(r"[\dT:.Z-]*\d[\dT:.Z-]*", "0", line)).strip()


def _fits(shown: Any, actual: Any) -> bool:
    """All that is shown is there, of the same type, and with the same words."""
    if isinstance(shown, dict):
        return isinstance(actual, dict) and all(
            name in actual and _fits(one, actual[name]) for name, one in shown.items()
        )
    if isinstance(shown, list):
        return isinstance(actual, list) and all(any(_fits(one, other) for other in actual) for one in shown)
    if isinstance(shown, str):
        return isinstance(actual, str) and _plain(shown) == _plain(actual)
    return type(shown) is type(actual)
