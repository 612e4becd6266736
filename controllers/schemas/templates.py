"""Requests about stored templates."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from controllers.schemas.common import Id, Limit, Offset, Query, Strict, whole
from controllers.schemas.emails import AddressText, Variables
from services.templates.compiled import MAX_SOURCE, MAX_SUBJECT
from services.templates.store import MAX_DESCRIPTION, NAME_PATTERN

Slug = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Description = Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION)]
Subject = Annotated[str, StringConstraints(max_length=MAX_SUBJECT)]
Source = Annotated[str, StringConstraints(max_length=MAX_SOURCE)]


class _Content(Strict):
    html: Source | None = Field(None, description="Jinja; what is put into it is escaped")
    text: Source | None = Field(None, description="Jinja; derived from the html where it is missing")


class NewTemplateBody(_Content):
    """A template. It needs at least one of `html` and `text`."""

    name: Slug = Field(description="unique; a-z, 0-9, dot, _ and -; not a number")
    subject: Subject = Field(description="Jinja; line breaks become spaces")
    description: Description = ""


class TemplateChangesBody(_Content):
    """Only what is to change; null takes html, text or description away. Another content makes a new version."""

    name: Slug | None = None
    subject: Subject | None = None
    description: Description | None = None
    expected_version: Id | None = Field(
        None, description="refuse the change when another version is in force by now"
    )

    @model_validator(mode="after")
    def _something(self) -> TemplateChangesBody:
        if not self.model_fields_set - {"expected_version"}:
            raise ValueError("give at least one field to change")
        for name in ("name", "subject", "expected_version"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self

    def values(self) -> dict[str, object]:
        return self.model_dump(exclude_unset=True)


class PreviewBody(Strict):
    variables: Variables = Field(default_factory=dict)
    version: Id | None = Field(None, description="the one in force, where it is not given")


class SourcePreviewBody(_Content):
    """A template that is not saved yet."""

    subject: Subject = ""
    variables: Variables = Field(default_factory=dict)


class TestSendBody(Strict):
    __test__ = False  # no test case

    to: AddressText
    variables: Variables = Field(default_factory=dict)
    version: Id | None = None
    smtp_config_id: Id | None = None


class TemplatesQuery(Query):
    limit: Limit = 100
    offset: Offset = 0


class VersionQuery(Query):
    version: Annotated[Id, BeforeValidator(whole)] | None = Field(
        None, description="an older one; by default the one in force"
    )
