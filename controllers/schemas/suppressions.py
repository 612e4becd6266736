"""Requests about suppressed addresses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controllers.schemas.common import Limit, Query, Strict
from controllers.schemas.emails import AddressText
from services.suppressions import MAX_DETAIL, Filters

Reason = Literal["hard_bounce", "complaint", "manual"]


class SuppressionBody(Strict):
    address: AddressText
    reason: Reason = "manual"
    detail: Annotated[str, StringConstraints(max_length=MAX_DETAIL)] = Field(
        "", description="for people: who asked for it, say"
    )


class SuppressionsQuery(Query):
    reason: Reason | None = None
    q: Annotated[str, StringConstraints(min_length=1, max_length=254)] | None = Field(
        None, description="part of the address"
    )
    limit: Limit = 100
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=320)] | None = Field(
        None, description="the `next_cursor` of the page before"
    )

    def filters(self) -> Filters:
        return Filters(self.reason, self.q)
