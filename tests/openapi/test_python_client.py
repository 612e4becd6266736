"""A client in Python, made by openapi-python-client of what the daemon describes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.support.daemon import KEY, ROOT, Daemon

SETTINGS = Path(__file__).with_name("client.yaml")
BIN = Path(sys.prefix) / "bin"
APP = """
import sys, time
from mailferry_client import AuthenticatedClient
from mailferry_client.api.emails import create_email, get_email, list_emails_by_status
from mailferry_client.models import Email, EmailBody, EmailCreated, EmailStatus

client = AuthenticatedClient(
    base_url=sys.argv[1], token=sys.argv[2], prefix="", auth_header_name="X-API-Key", raise_on_unexpected_status=True,
)
body = EmailBody(subject="By a generated client", recipients=["ann@example.com"], text_content="Hello")
made = create_email.sync(client=client, body=body, idempotency_key="client-python")
assert isinstance(made, EmailCreated), made
def look(email_id: int) -> Email:
    email = get_email.sync(email_id, client=client)
    assert isinstance(email, Email), email
    return email

tries = 0
while (email := look(made.email_id)).status is not EmailStatus.SENT and (tries := tries + 1) < 400:
    time.sleep(0.05)
listed = list_emails_by_status.sync(EmailStatus.SENT, client=client, limit=10)
assert isinstance(listed, list), listed
print(email.status, email.recipient_states[0].state, made.email_id in [one.id for one in listed])
"""


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(one) for one in command], cwd=cwd, capture_output=True, text=True, timeout=120,
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(cwd), "NO_COLOR": "1", "PYTHONPATH": str(cwd)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(described: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python-client")
    (folder / "openapi.json").write_text(json.dumps(described))
    told = run(
        BIN / "openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none",
        "--output-path", "mailferry_client", "--config", SETTINGS,
        cwd=folder,
    )  # fmt: skip
    assert "WARNING" not in told.upper(), (
        told
    )  # what it cannot make a function of, it leaves out with a warning
    (folder / "app.py").write_text(APP)
    return folder


def test_it_has_a_function_for_every_operation(folder: Path, described: dict[str, Any]) -> None:
    names = {one["operationId"] for methods in described["paths"].values() for one in methods.values()}
    files = (folder / "mailferry_client/api").glob("*/*.py")
    assert {one.stem for one in files if one.stem != "__init__"} == names


def test_its_types_are_right(folder: Path) -> None:
    told = run(BIN / "mypy", "--strict", "--no-incremental", "app.py", cwd=folder)
    assert "Success" in told


def test_it_sends_an_email(folder: Path, daemon: Daemon) -> None:
    assert run(sys.executable, "app.py", daemon.url, KEY, cwd=folder).split() == ["sent", "sent", "True"]


def test_the_docs_make_and_use_it_so(folder: Path, daemon: Daemon) -> None:
    """docs/api.md: its settings and options are those of above, and its program sends an email."""
    make, use = [one for one in blocks(ROOT / "docs/api.md") if one.note.endswith(Path(__file__).name)]
    settings, generate = make.code.splitlines()
    (folder / "docs").mkdir()
    run("sh", "-c", settings, cwd=folder / "docs")
    assert (folder / "docs/client.yaml").read_text() == "".join(SETTINGS.read_text().splitlines(True)[1:])
    assert generate.split()[:2] == ["openapi-python-client", "generate"]
    assert generate.split()[2::2] == ["--url", "--config", "--meta", "--output-path"]
    before = daemon.query("SELECT count(*) FROM emails")[0][0]
    program = f"key = {KEY!r}\n{use.code.replace('http://127.0.0.1:5000', daemon.url)}"
    run(sys.executable, "-c", program, cwd=folder)
    assert daemon.query("SELECT count(*) FROM emails")[0][0] == before + 1
