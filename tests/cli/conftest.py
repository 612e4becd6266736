from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import config
from controllers.cli import CliContext, main
from tests.support import database as databases
from utils.crypto import new_fernet_key


@dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """`python app.py …` in this process: the real composition root over a folder of its own."""

    def __init__(
        self, folder: Path, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.env = {
            "DATA_DIR": str(folder / "data"),
            "CREDENTIALS_KEY": new_fernet_key(),
            "SECRET_KEY": "zB3k9fQ1-secretly-random",
            "API_KEY": "mf_P0iU8yT6rE4wQ2aZ",
            "JWT_SECRET": "q1W2e3R4t5Y6u7I8o9P0",
            "MESSAGE_ID_DOMAIN": "relay.example",
            "LOG_LEVEL": "WARNING",
            **databases.settings(folder / "data"),
        }
        self.env_file = folder / ".env"
        self.served = 0
        self._capture = capture
        self._monkeypatch = monkeypatch

    @property
    def data_dir(self) -> Path:
        return Path(self.env["DATA_DIR"])

    def __call__(self, *argv: str, piped: str = "") -> Result:
        import app

        if piped:
            self._monkeypatch.setattr("sys.stdin", io.StringIO(piped))

        def serve() -> None:
            self.served += 1

        context = CliContext(
            load_settings=lambda: config.from_env(self.env),
            compose=app.compose,
            serve=serve,
            bind=app.bind,
            env_file=self.env_file,
            member=app.member,
        )
        self._capture.readouterr()
        status = main(context, argv)
        out, err = self._capture.readouterr()
        return Result(status, out, err)


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[CommandLine]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield CommandLine(tmp_path, capsys, monkeypatch)
    root.handlers[:], root.level = handlers, level
    databases.close()
