"""Files for what is being written. One without an owner is kept for a day; what a draft holds goes with the draft.

An email that is sent takes the bytes over: its upload may go.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from models.composition import Upload
from models.database import SKIP_LOCKED, marks, row, rows, run, write
from services import blobs
from services.accept import check_disk
from services.errors import FieldError, InvalidInputError, NotFoundError, StorageFullError, TooLargeError
from services.message_size import message_size
from services.principal import Principal
from services.relay import Relay
from utils.clock import DAY
from utils.mime import Attachment, HeaderError, check_content_id, check_header

KEPT = DAY
MOST_UNOWNED = 20  # times the largest message: of one user's, whose bytes nothing holds yet
STEP = 200

_UNOWNED = "draft_id IS NULL"


class Files(NamedTuple):
    """The attachments of something: those by their ids, of uploads or of what came with messages here; those that came
    along; those of the message here that is forwarded."""

    ids: Sequence[str] = ()
    new: Sequence[Attachment] = ()
    forward_of: str | None = None


def add(relay: Relay, who: Principal, file: Attachment, now: int) -> Upload:
    """Store a file. TooLargeError when no message could carry it."""
    check_disk(relay)
    check_files([file], relay.policy.max_message_bytes, place="")

    def job() -> Upload:
        _check_room(who, relay.policy.max_message_bytes, len(file.content))
        return store(who, file, None, 0, now)

    return write(job, durable=True)


def store(who: Principal, file: Attachment, draft_id: str | None, position: int, now: int) -> Upload:
    """Inside a write job."""
    return Upload.create(
        id=uuid.uuid4().hex, tenant=who.tenant, user=who.user, draft_id=draft_id, position=position,
        filename=file.filename, content_type=file.content_type, content_id=file.content_id,
        size=len(file.content), blob_id=blobs.keep(who.tenant, file.content), created_at=now,
    )  # fmt: skip


def check_files(files: Sequence[Attachment], limit: int, place: str = "attachments.{}.") -> None:
    """InvalidInputError naming what no header could carry, TooLargeError when they fit into no message."""
    wrong: list[FieldError] = []
    for number, file in enumerate(files):
        at = place.format(number)
        try:
            check_header("X-Check", file.filename)
        except HeaderError as exc:
            wrong.append(FieldError(f"{at}filename", str(exc), "INVALID_HEADER"))
        try:
            if file.content_id is not None:
                check_content_id(file.content_id)
        except HeaderError as exc:
            wrong.append(FieldError(f"{at}contentId", str(exc), "INVALID_HEADER"))
    if wrong:
        raise InvalidInputError.of(wrong)
    size = message_size([], [], [], [(one.filename, len(one.content)) for one in files])
    if size > limit:
        raise TooLargeError(f"an email with it would have {size} bytes; the limit is {limit}")


def find(who: Principal, ids: Sequence[str], but: Collection[str] = ()) -> list[Upload]:
    """Uploads of the user, in this order. NotFoundError that names the first that is not there, nor among `but`."""
    found = {
        one.id: one
        for one in Upload.select().where(
            Upload.tenant == who.tenant, Upload.user == who.user, Upload.id.in_(list(ids))
        )
    }
    for number, upload_id in enumerate(ids):
        if upload_id not in found and upload_id not in but:
            raise NotFoundError(
                f"attachmentIds.{number}: no attachment {upload_id}; one that is in no draft is kept for a day",
                code="ATTACHMENT_NOT_FOUND", field=f"attachmentIds.{number}",
            )  # fmt: skip
    return [found[one] for one in ids if one in found]


def read(uploads: Sequence[Upload]) -> list[Attachment]:
    """With their bytes. NotFoundError for one that is gone meanwhile."""
    contents = {
        blob_id: bytes(data)
        for blob_id, data in rows(
            f"SELECT id, data FROM blobs WHERE id IN ({marks(len(uploads))})",
            *(one.blob_id for one in uploads),
        )
    }
    for number, one in enumerate(uploads):
        if one.blob_id not in contents:
            raise NotFoundError(
                f"attachmentIds.{number}: no attachment {one.id}", code="ATTACHMENT_NOT_FOUND"
            )
    return [
        Attachment(one.filename, one.content_type, contents[one.blob_id], one.content_id) for one in uploads
    ]


def of_draft(draft_id: str) -> list[Upload]:
    return list(Upload.select().where(Upload.draft_id == draft_id).order_by(Upload.position))


def attach(who: Principal, draft_id: str, files: Files, now: int) -> None:
    """Make `files` the attachments of a draft: what it held beside them goes. Inside a write job."""
    chosen = find(who, files.ids)
    held = of_draft(draft_id)
    blobs.lock([one.blob_id for one in (*chosen, *held)])
    chosen = find(who, files.ids)  # once more: now nobody can take the bytes away
    for position, upload in enumerate(chosen):
        if upload.draft_id not in (None, draft_id) or upload.id in files.ids[:position]:
            _copy(upload, draft_id, position, now)
        else:
            Upload.update(draft_id=draft_id, position=position).where(Upload.id == upload.id).execute()
    for position, file in enumerate(files.new, len(chosen)):
        store(who, file, draft_id, position, now)
    kept = {one.id for one in chosen}
    _drop([one for one in held if one.id not in kept])


def drop_of_drafts(draft_ids: Sequence[str]) -> None:
    """Inside a write job."""
    held = list(Upload.select().where(Upload.draft_id.in_(list(draft_ids))))
    blobs.lock([one.blob_id for one in held])
    _drop(held)


def prune(now: int) -> int:
    """Forget those that nobody made use of for a day; how many. In short steps."""

    def step() -> int:
        old = rows(
            f"SELECT id, blob_id FROM uploads WHERE {_UNOWNED} AND created_at < ? ORDER BY created_at LIMIT ?"
            f" {SKIP_LOCKED}",
            now - KEPT, STEP,
        )  # fmt: skip
        held = [blob for _, blob in old]
        blobs.lock(held)
        ids = [one for one, _ in old]
        gone = run(f"DELETE FROM uploads WHERE {_UNOWNED} AND id IN ({marks(len(ids))})", *ids)
        blobs.drop_unused(held)
        return gone

    done = 0
    while count := write(step):
        done += count
    return done


def view(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "filename": upload.filename,
        "contentType": upload.content_type,
        "size": upload.size,
        "contentId": upload.content_id,
        "isInline": upload.content_id is not None,
        "createdAt": upload.created_at,
    }


def _copy(upload: Upload, draft_id: str, position: int, now: int) -> None:
    """It has its place already, here or in another draft: each place has its own, of the same bytes."""
    facts = {
        name: getattr(upload, name) for name in ("tenant", "user", "filename", "content_type", "content_id")
    }
    Upload.create(
        id=uuid.uuid4().hex, draft_id=draft_id, position=position, size=upload.size, blob_id=upload.blob_id,
        created_at=now, **facts,
    )  # fmt: skip


def _drop(uploads: Sequence[Upload]) -> None:
    """Their bytes too, where nothing else holds them. After a lock of those."""
    ids = [one.id for one in uploads]
    run(f"DELETE FROM uploads WHERE id IN ({marks(len(ids))})", *ids)
    blobs.drop_unused([one.blob_id for one in uploads])


def _check_room(who: Principal, largest: int, more: int) -> None:
    """StorageFullError for a user who only ever uploads: the disk is everyone's."""
    found = row(
        f'SELECT coalesce(sum(size), 0) FROM uploads WHERE {_UNOWNED} AND tenant = ? AND "user" = ?',
        who.tenant, who.user,
    )  # fmt: skip
    limit = MOST_UNOWNED * largest
    if found and found[0] + more > limit:
        raise StorageFullError(
            f"{found[0]} bytes of attachments are in no draft yet; the limit is {limit}: use them, or wait a day",
            code="TOO_MANY_UPLOADS",
        )  # fmt: skip
