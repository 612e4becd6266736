"""What a fresh daemon says on its standard output: how to send a first email, ready to paste."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TextIO

_ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 compared with, not listened on
_PLAIN_KEY = re.compile(r"^API_KEY=[\w-]+$", re.MULTILINE)


def show(host: str, port: int, env_file: Path, stream: TextIO) -> None:
    """The key is read from `.env` by the command itself, so that none shows up in a log or on a screen."""
    url = url_of(host, port)
    key = f'-H "X-API-Key: {_key(env_file)}"'
    body = '{"subject": "Hello", "recipients": ["you@example.com"], "text_content": "It works."}'
    stream.write(
        f"\nMailferry is ready: {url} in a browser (log in with API_KEY from {env_file}), {url}/docs for the API."
        " Send a first email:\n\n"
        f"  curl {key} -H 'Content-Type: application/json' -d '{body}' {url}/api/emails\n\n"
        f"and read what the sandbox caught:\n\n"
        f"  curl {key} {url}/api/sandbox\n\n"
    )
    stream.flush()


def url_of(host: str, port: int) -> str:
    host = "127.0.0.1" if host in _ANYWHERE else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _key(env_file: Path) -> str:
    if env_file.exists() and _PLAIN_KEY.search(env_file.read_text(errors="replace")):
        return f"$(sed -n 's/^API_KEY=//p' {shlex.quote(str(env_file))})"
    return "$API_KEY"
