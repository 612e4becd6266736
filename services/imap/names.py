"""Names of folders: as the server has them, in bytes, and as people read them (RFC 3501, 5.1.3)."""

from __future__ import annotations

import base64
import re

_SHIFTED = re.compile(r"&([^-]*)(?:-|$)")
_PLAIN = re.compile("[^\x20-\x7e]+|&")


def decode(raw: bytes) -> str:
    """Never raises: what is no modified UTF-7 is shown as it is. Neither NUL nor half a surrogate comes out."""
    try:
        text = raw.decode("ascii")
        text = _SHIFTED.sub(_decoded, text)
    except ValueError:
        text = raw.decode("utf-8", "replace")
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def encode(name: str) -> bytes:
    """ValueError for half a surrogate."""
    return _PLAIN.sub(_encoded, name).encode()


def quoted(raw: bytes) -> bytes:
    """As an argument. ValueError for a name that would end the command."""
    if any(one in raw for one in (b"\0", b"\r", b"\n")):
        raise ValueError("a folder's name may hold neither NUL, CR nor LF")
    return b'"' + raw.replace(b"\\", rb"\\").replace(b'"', rb"\"") + b'"'


def _decoded(found: re.Match[str]) -> str:
    shifted = found[1].replace(",", "/")
    if not shifted:
        return "&"
    return base64.b64decode(shifted + "=" * (-len(shifted) % 4), validate=True).decode("utf-16-be")


def _encoded(found: re.Match[str]) -> str:
    if found[0] == "&":
        return "&-"
    data = base64.b64encode(found[0].encode("utf-16-be")).decode()
    return "&" + data.rstrip("=").replace("/", ",") + "-"
