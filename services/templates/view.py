"""A template as its owner reads it."""

from __future__ import annotations

from typing import Any

from models.database import marks, rows
from models.template import Template
from services.templates import store
from services.templates.compiled import used
from utils.clock import iso


def summary(template: Template) -> dict[str, Any]:
    return {
        "id": template.id, "name": template.name, "description": template.description, "version": template.version,
        "tenant_id": template.tenant or None, "created_at": iso(template.created_at),
        "updated_at": iso(template.updated_at),
    }  # fmt: skip


def detail(template: Template, number: int | None = None) -> dict[str, Any]:
    """With what a version says, the one in force by default. NotFoundError."""
    number, sources, at = store.sources_of(template, number)
    found = used(sources)
    return summary(template) | {
        "version": number, "current_version": template.version, "subject": sources.subject, "html": sources.html,
        "text": sources.text, "css_inlined": None if sources.css == "none" else f"at {sources.css}",
        "variables": found.names, "optional": found.optional, "saved_at": iso(at),
    }  # fmt: skip


def names(template_ids: set[int]) -> dict[int, str]:
    """Of those that are still there."""
    ids = sorted(template_ids)
    found = rows(f"SELECT id, name FROM templates WHERE id IN ({marks(len(ids))})", *ids) if ids else []
    return {int(one): str(name) for one, name in found}
