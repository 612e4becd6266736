"""Backups of a PostgreSQL database are PostgreSQL's own: we only call its tool, or say how to."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit, urlunsplit

from services.backup import BackupError
from utils.clock import compact

HOW_TO_DUMP = "pg_dump --format=custom --file=mailferry.pgdump DATABASE_URL"
HOW_TO_RESTORE = (
    "the database is a PostgreSQL one: stop all relays, then run `pg_restore --clean --if-exists"
    " --dbname=DATABASE_URL FILE`. Mail that waited in the dump may have been sent since, and is sent again"
)


def dump(url: str, folder: Path, now: int) -> Path:
    """The file that pg_dump wrote, complete. BackupError when it is not installed or fails."""
    tool = shutil.which("pg_dump")
    if tool is None:
        raise BackupError(
            f"pg_dump is not installed here: install the PostgreSQL client, or run: {HOW_TO_DUMP}"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"mailferry-{compact(now)}.pgdump"
    part = file.with_name(f".{file.name}.part")
    part.touch(mode=0o600)
    with tempfile.NamedTemporaryFile("w", prefix="mailferry-pgpass-") as passfile:  # mode 0600
        shown, line = _without_password(url)
        passfile.write(line)
        passfile.flush()
        target = _with_option(shown, "passfile", passfile.name) if line else shown
        done = subprocess.run(  # noqa: S603 - the URL is the operator's own setting
            [tool, "--format=custom", f"--file={part}", target],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    if done.returncode:
        part.unlink(missing_ok=True)
        raise BackupError(
            f"pg_dump failed: {done.stderr.strip().splitlines()[-1] if done.stderr else 'no reason'}"
        )
    part.rename(file)
    return file


def _without_password(url: str) -> tuple[str, str]:
    """The URL as every user of the machine may see it in the process list, and a line for a password file."""
    parts = urlsplit(url)
    if not parts.password:
        return url, ""
    password = unquote(parts.password).replace("\\", "\\\\").replace(":", "\\:")
    where = parts.netloc.rpartition("@")[2]
    user = quote(unquote(parts.username or ""), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}@{where}")), f"*:*:*:*:{password}\n"


def _with_option(url: str, name: str, value: str) -> str:
    parts = urlsplit(url)
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()} | {name: value}
    return urlunsplit(parts._replace(query=urlencode(options)))
