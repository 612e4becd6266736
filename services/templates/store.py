"""Stored templates: made, found, changed, deleted; their versions read and restored."""

from __future__ import annotations

import re
from typing import Any

from models.database import FOR_UPDATE, hold, row, rows, run, write
from models.template import Template, TemplateVersion
from services.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from services.principal import Principal
from services.templates.compiled import Sources, checked
from services.templates.finding import Reference, locate, read_sources

MAX_TEMPLATES = 1_000  # of an owner
KEPT_VERSIONS = 500
NAME_PATTERN = "^[a-z0-9][a-z0-9._-]{0,99}$"
_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")
_PARTS = ("subject", "html", "text")
MAX_DESCRIPTION = 500


def create(who: Principal, fields: dict[str, Any], now: int) -> tuple[int, int]:
    """The new template's id and version. `fields`: name, subject, html, text, description."""
    name = _checked_name(fields["name"])
    sources = checked(fields["subject"], fields.get("html"), fields.get("text"))

    def job() -> tuple[int, int]:
        hold(f"templates {who.tenant}")
        (count,) = row("SELECT count(*) FROM templates WHERE tenant = ?", who.tenant) or (0,)
        if count >= MAX_TEMPLATES:
            raise ConflictError(
                f"there are {count} templates, and no more are kept: delete some", code="TOO_MANY"
            )
        _check_name_free(who.tenant, name, 0)
        made = Template.create(
            tenant=who.tenant, name=name, description=fields.get("description") or "", version=1, created_at=now,
            updated_at=now,
        )  # fmt: skip
        _add_version(int(made.id), 1, sources, now)
        return int(made.id), 1

    return write(job, durable=True)


def find(who: Principal, reference: Reference) -> Template:
    """NotFoundError unless it is there and the tenant's; a service key that names none has the service's own."""
    template_id, _, _ = locate(who.tenant, reference)
    template = Template.get_or_none(Template.id == template_id)
    if template is None:  # deleted in between
        raise NotFoundError(f"no template {reference}")
    return template


def listed(who: Principal, limit: int, offset: int) -> tuple[list[Template], int]:
    """A page of templates by name, and how many there are."""
    query = Template.select().where(Template.tenant == who.tenant)
    return list(query.order_by(Template.name).limit(limit).offset(offset)), query.count()


def update(who: Principal, reference: Reference, changes: dict[str, Any], now: int) -> int:
    """Change some fields; the version then in force: a new one, where what it says has changed.

    `expected_version`: ConflictError when it is no longer in force.
    """
    before = find(who, reference)
    sources = _changed(before, changes)
    name = _checked_name(changes["name"]) if "name" in changes else before.name

    def job() -> int:
        hold(f"templates {who.tenant}")
        template = _locked(before)
        if template.version != changes.get("expected_version", template.version):
            raise ConflictError(
                f"expected_version: version {template.version} is in force by now",
                code="CHANGED",
                field="expected_version",
            )
        if template.version != before.version:
            raise ConflictError(
                "it was changed at the same moment: look at it, and try again", code="CHANGED"
            )
        _check_name_free(who.tenant, name, template.id)
        if sources is not None:
            template.version += 1
            _add_version(template.id, template.version, sources, now)
            _forget_oldest(template)
        template.name, template.updated_at = name, now
        template.description = changes.get("description", template.description) or ""
        template.save()
        return int(template.version)

    return write(job, durable=True)


def delete(who: Principal, reference: Reference) -> None:
    """With all versions. Mail that was made of it is not touched; other templates that include it no longer can."""

    def job() -> None:
        template = find(who, reference)
        run("DELETE FROM template_versions WHERE template_id = ?", template.id)
        run("DELETE FROM templates WHERE id = ?", template.id)

    write(job, durable=True)


def sources_of(template: Template, number: int | None = None) -> tuple[int, Sources, int]:
    """Number, content and time of a version, the one in force by default. NotFoundError."""
    number = template.version if number is None else number
    found = read_sources(template.id, number)
    at = row(
        "SELECT created_at FROM template_versions WHERE template_id = ? AND version = ?", template.id, number
    )
    if found is None or at is None:
        raise NotFoundError(f"the template {template.name} has no version {number}", code="NO_VERSION")
    return number, found, int(at[0])


def versions(template: Template, limit: int, offset: int) -> list[tuple[int, int, str]]:
    """Number, time and subject of versions, the newest first."""
    return [
        (int(number), int(at), str(subject))
        for number, at, subject in rows(
            "SELECT version, created_at, subject FROM template_versions WHERE template_id = ?"
            " ORDER BY version DESC LIMIT ? OFFSET ?",
            template.id, limit, offset,
        )
    ]  # fmt: skip


def count_versions(template: Template) -> int:
    (count,) = row("SELECT count(*) FROM template_versions WHERE template_id = ?", template.id) or (0,)
    return int(count)


def restore(who: Principal, reference: Reference, number: int, now: int) -> int:
    """What an old version says, as a new one, which is then in force."""
    _, old, _ = sources_of(find(who, reference), number)
    return update(who, reference, {part: getattr(old, part) for part in _PARTS}, now)


def _changed(template: Template, changes: dict[str, Any]) -> Sources | None:
    """What it is to say; None where that stays as it is."""
    _, before, _ = sources_of(template)
    values = {part: changes.get(part, getattr(before, part)) or None for part in _PARTS}
    if all(values[part] == (getattr(before, part) or None) for part in _PARTS):
        return None
    return checked(values["subject"] or "", values["html"], values["text"])


def _locked(before: Template) -> Template:
    row(f"SELECT 1 FROM templates WHERE id = ? {FOR_UPDATE}", before.id)
    template = Template.get_or_none(Template.id == before.id)
    if template is None:
        raise NotFoundError(f"no template {before.name}")
    return template


def _add_version(template_id: int, number: int, sources: Sources, now: int) -> None:
    TemplateVersion.insert(
        template_id=template_id, version=number, subject=sources.subject, html=sources.html, text=sources.text,
        css=sources.css, inlined=sources.inlined, created_at=now,
    ).execute()  # fmt: skip


def _forget_oldest(template: Template) -> None:
    run(
        "DELETE FROM template_versions WHERE template_id = ? AND version <= ?",
        template.id, template.version - KEPT_VERSIONS,
    )  # fmt: skip


def _checked_name(name: str) -> str:
    if not _NAME.match(name) or name.isdigit():
        message = "must be 1 to 100 of a-z, 0-9, dot, _ and -, begin with a letter or digit, and be no number"
        raise InvalidInputError.of([FieldError("name", message, "INVALID_NAME")])
    return name


def _check_name_free(tenant: str, name: str, own_id: int) -> None:
    if row("SELECT 1 FROM templates WHERE tenant = ? AND name = ? AND id != ?", tenant, name, own_id):
        raise ConflictError("name: another template has this name", code="NAME_TAKEN", field="name")
