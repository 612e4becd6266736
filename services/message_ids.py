"""Our Message-IDs, and the addresses that bounces come to: each bears a keyed mark, by which what comes back is known
to answer mail that we really sent.

The first half begins with the second of its making, so that an email is found by it without an index of its own: one of
random keys would cost each accepted email a page of the disk.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets

from services.relay import Relay
from utils.addresses import MAX_LOCAL_OCTETS
from utils.clock import SECOND
from utils.crypto import Signer

TAG = "mf="  # local+mf=token@domain
_PAIR = re.compile(r"(?<![0-9a-f])([0-9a-f]{20}\.[0-9a-f]{20})@", re.IGNORECASE)
_TOKEN = re.compile(r"\+mf=([a-z2-7]{32})@", re.IGNORECASE)


def new_message_id(relay: Relay, now: int) -> str:
    """`<unique.mark@domain>`: the second (8 hexadecimal digits) and 48 random bits, then their mark."""
    unique = f"{now // SECOND:08x}{secrets.token_hex(6)}"
    return f"<{unique}.{relay.signer.mark(unique)}@{relay.policy.message_id_domain}>"


def pairs_in(text: str) -> list[str]:
    """What looks like `unique.mark` of ours, in order, each once; nothing is proven by that."""
    return list(dict.fromkeys(one.lower() for one in _PAIR.findall(text)))


def pairs_in_addresses(text: str) -> list[str]:
    """The same from addresses that `bounce_address` made."""
    found = []
    for token in _TOKEN.findall(text):
        try:
            digits = base64.b32decode(token.upper()).hex()
        except (binascii.Error, ValueError):
            continue
        found.append(f"{digits[:20]}.{digits[20:]}")
    return list(dict.fromkeys(found))


def is_ours(signer: Signer, pair: str) -> bool:
    unique, _, mark = pair.partition(".")
    return signer.owns(unique, mark)


def made_at(pair: str) -> int:
    """ms since the epoch, cut off to the second."""
    return int(pair[:8], 16) * SECOND


def bounce_address(address: str, message_id: str) -> str:
    """`local+mf=token@domain`, the token being the Message-ID's mark; the address itself where that gets too long or
    the Message-ID is none of ours."""
    pair = next(iter(pairs_in(message_id)), None)
    local, _, domain = address.rpartition("@")
    if pair is None or local.startswith('"'):
        return address
    token = base64.b32encode(bytes.fromhex(pair.replace(".", ""))).decode().lower()
    marked = f"{local}+{TAG}{token}"
    return f"{marked}@{domain}" if len(marked.encode()) <= MAX_LOCAL_OCTETS else address
