"""The real daemon as processes of its own: gunicorn, its workers, its sandbox."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.support import database as databases
from utils.crypto import new_fernet_key

ROOT = Path(__file__).resolve().parents[2]
KEY = "mf_master-key-of-the-tests"
CREDENTIALS_KEY = new_fernet_key()


def _is_measured() -> bool:
    """Coverage makes a daemon half as fast. Those of these tests run all that others do."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").startswith(("tests/e2e/", "tests/browser/"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Daemon:
    """One data folder; start and stop it as often as wanted. Everything it prints goes to `log`."""

    def __init__(self, folder: Path, *, wrapper: list[str] | None = None, **settings: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "daemon.log"
        self.wrapper = wrapper or []
        self.settings = {name.upper(): str(value) for name, value in settings.items()}
        self.process: subprocess.Popen[bytes] | None = None
        self.http = requests.Session()
        self.http.headers["X-API-Key"] = KEY
        self.http.trust_env = False

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") or (_is_measured() and name.startswith("COV"))
        }
        return inherited | {
            "ENV_FILE": str(self.folder / "env"),
            "DATA_DIR": str(self.folder / "data"),
            "PORT": str(self.port),
            "SECRET_KEY": "secret-key-of-the-tests-0123456789",
            "JWT_SECRET": "jwt-secret-of-the-tests-0123456789",
            "CREDENTIALS_KEY": CREDENTIALS_KEY,
            "API_KEY": KEY,
            "SANDBOX": "off",
            "WEB_CONCURRENCY": "1",
            "MIN_FREE_MB": "1",
            "LOG_LEVEL": "INFO",
            **databases.settings(self.folder / "data"),
            **self.settings,
        }

    def start(self, patience: float = 30.0) -> Daemon:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, sys.executable, str(ROOT / "app.py"), "serve"],
                cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended at start:\n{self.log.read_text()[-3000:]}")
            try:
                if self.http.get(f"{self.url}/health", timeout=2).status_code == 200:
                    return self
            except requests.RequestException:
                pass
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the daemon did not become ready:\n{self.log.read_text()[-3000:]}")

    def stop(self, patience: float = 45.0) -> float:
        """SIGTERM to the master, as a supervisor does; seconds until all of it has gone."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the daemon did not stop:\n{self.log.read_text()[-3000:]}") from None
        return time.monotonic() - began

    def kill(self) -> None:
        """kill -9 of the whole process group."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def workers(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children()

    def __enter__(self) -> Daemon:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self.http.close()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Of its database, from outside."""
        return databases.query(self.folder / "data", sql, url=self.settings.get("DATABASE_URL"))

    def get(self, path: str, **options: Any) -> Any:
        answer = self.http.get(self.url + path, timeout=30, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int | None = None, **options: Any) -> Any:
        answer = self.http.post(self.url + path, json=body, timeout=30, **options)
        assert answer.status_code == status if status else answer.ok, f"{answer.status_code} {answer.text}"
        return answer.json()

    def add_config(self, port: int, **fields: Any) -> int:
        body = {
            "name": f"config-{port}", "email_address": "relay@sender.test", "smtp_host": "127.0.0.1",
            "smtp_port": port, "use_tls": False, **fields,
        }  # fmt: skip
        return int(self.post("/api/smtp-configs", body)["config_id"])

    def send(self, **fields: Any) -> int:
        body = {"subject": "Hello", "recipients": ["ann@example.com"], "text_content": "Hello Ann", **fields}
        return int(self.post("/api/emails", body)["email_id"])
