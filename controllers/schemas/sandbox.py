"""Requests about the sandbox."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from controllers.schemas.common import Limit, Query, whole


class SandboxQuery(Query):
    limit: Limit = 50
    before: Annotated[int, Field(ge=1, le=2**62), BeforeValidator(whole)] | None = Field(
        None, description="the id that the page before ended with"
    )
