"""A message that comes whole, as POP3 brings it: the same parts, by the same numbers, as an IMAP server would tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from email.message import Message as Parsed

from services.sync.bodies import MOST_REPORT_PARTS, MOST_TEXT_PARTS, limit_of, may_be_wanted, wanted_parts
from services.sync.headers import clean, decoded, read_headers
from services.sync.structure import LONGEST_NAME, MOST_PARTS, Leaf, message_name, plain_name
from utils.mime_stream import Begin, events

_MOST_READ = MOST_TEXT_PARTS + MOST_REPORT_PARTS

Piece = tuple[Leaf, bytes]  # and its beginning, as encoded


@dataclass(frozen=True, slots=True)
class Whole:
    """`leaves`: all of them. `texts`: those that are read, as much of each as is ever looked at. `size`: what came."""

    raw_header: bytes
    leaves: list[Leaf]
    texts: list[Piece]
    size: int


@dataclass(slots=True)
class _Growing:
    leaf: Leaf
    reads: bool
    size: int = 0
    kept: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.reads &= may_be_wanted(self.leaf)

    def told(self) -> Leaf:
        """A forwarded message is known by its subject."""
        name = self.leaf.filename
        if not name and self.leaf.mime_type == "message/rfc822":
            name = message_name(read_headers(bytes(self.kept)).subject)
        return replace(self.leaf, size=self.size, filename=name)

    def grow(self, block: bytes) -> None:
        self.size += len(block)
        if self.reads:
            self.kept += block[: max(limit_of(self.leaf) - len(self.kept), 0)]


def read_whole(blocks: Iterable[bytes]) -> Whole:
    """Raises what `blocks` does, and nothing else. It holds the text in memory, whatever the size of the message."""
    header: bytes | None = None
    size, found = 0, list[_Growing]()
    for event in events(blocks, MOST_PARTS):
        if isinstance(event, bytes):
            size += len(event)
            found[-1].grow(event)
            continue
        size += len(event.raw_header)
        header = event.raw_header if header is None else header
        if not event.has_parts:
            reads = sum(one.reads for one in found) < _MOST_READ
            found.append(_Growing(_leaf(event), reads))
    by_section = {one.leaf.section: bytes(one.kept) for one in found}
    leaves = [one.told() for one in found]
    texts = [(leaf, by_section[leaf.section]) for leaf in wanted_parts(leaves)]
    return Whole(header or b"", leaves, texts, size)


def section_of(blocks: Iterable[bytes], section: str) -> Iterator[bytes]:
    """The content of one part, as encoded. It ends with the part: what comes after it is not asked for."""
    wanted = False
    for event in events(blocks, MOST_PARTS):
        if isinstance(event, Begin):
            if wanted:
                return
            wanted = not event.has_parts and (event.section or "1") == section
        elif wanted:
            yield event


def _leaf(part: Begin) -> Leaf:
    """Its size is told later."""
    try:
        return _told(part.header, part.section or "1", part.related)
    except Exception:  # many kinds, by what is in it
        return Leaf(part.section or "1", "application/octet-stream", "8bit", 0)


def _told(header: Parsed, section: str, related: bool) -> Leaf:
    kind = header.get_content_type()
    filename = plain_name(decoded(str(header.get_filename() or "")))
    content_id = clean(str(header.get("Content-ID") or "").strip().strip("<>"))
    return Leaf(
        section, kind[:200], str(header.get("Content-Transfer-Encoding") or "7bit").strip().lower()[:40], 0,
        clean(str(header.get_content_charset("") or ""))[:60].lower(), filename,
        content_id[:LONGEST_NAME] or None, str(header.get_content_disposition() or "")[:40], related,
    )  # fmt: skip
