"""The text of a letter that sync has not fetched yet, or could not: asked of its server while somebody waits for it.

It is shown, not stored: that is sync's, which then also looks whether it is a report on mail of ours.
"""

from __future__ import annotations

from models.account import Account
from models.inbox import Letter
from services.errors import NotFoundError, ServiceError
from services.imap import Client, fetch
from services.imap.reading import body_of
from services.inbox.connections import connection
from services.inbox.copies import copy_of, select_folder
from services.relay import Relay
from services.sync.bodies import LARGEST, Body, body_from, text_parts
from services.sync.structure import Leaf, leaves

SECONDS = 20.0


def late_text(relay: Relay, letter: Letter, now: int) -> Body | str:
    """Or why it is not to be had."""
    try:
        return _fetched(relay, letter, now)
    except ServiceError as error:
        return error.message
    except (ValueError, TypeError, IndexError, AttributeError):
        return "what the mail server tells of the message's structure cannot be read"


def _fetched(relay: Relay, letter: Letter, now: int) -> Body:
    account = Account.get_or_none(Account.id == letter.account_id)
    copy = copy_of(letter.account_id, letter.id)
    if account is None or copy is None or account.protocol != "imap":
        raise NotFoundError("the server is not asked for it: wait for the next sync")
    with connection(relay, account, SECONDS, now) as client:
        select_folder(client, copy)
        return body_from(_parts(client, copy.uid))


def _parts(client: Client, uid: int) -> list[tuple[Leaf, bytes]]:
    told = fetch(client, str(uid), "UID BODYSTRUCTURE").messages.get(uid, {})
    if b"BODYSTRUCTURE" not in told:
        raise NotFoundError("the message is not there any more")
    parts = text_parts(leaves(told[b"BODYSTRUCTURE"]))
    if not parts:
        return []
    wanted = " ".join(f"BODY.PEEK[{one.section}]<0.{LARGEST}>" for one in parts)
    come = fetch(client, str(uid), f"UID {wanted}").messages.get(uid, {})
    return [(one, body_of(come, one.section)) for one in parts]
