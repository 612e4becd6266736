"""Requests about sync. Its options have two names each, as its two sources do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from controllers.schemas.accounts import Camel
from controllers.schemas.common import Limit, Offset, Query
from services.sync.run import Wish

FolderName = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
FolderId = Annotated[int, Field(ge=1, lt=2**63)]
Folders = Annotated[
    list[FolderName | FolderId],
    Field(min_length=1, max_length=1_000, description="ids, names or types; all if left out"),
]


class SyncBody(Camel):
    force: bool | None = Field(None, description="compare everything, and try again what is quarantined")
    force_full_sync: bool | None = Field(None, description="another name of force")
    folders: Folders | None = None
    folder_ids: Folders | None = Field(None, description="another name of folders")

    def wish(self) -> Wish:
        given = self.folders if self.folders is not None else self.folder_ids
        names = None if given is None else tuple(dict.fromkeys(str(one) for one in given))
        return Wish(bool(self.force or self.force_full_sync), names)


class SyncQuery(Query):
    syncId: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(  # noqa: N815
        None, description="of one sync; the latest if left out"
    )


class QuarantinedQuery(Query):
    limit: Limit = 100
    offset: Offset = 0
