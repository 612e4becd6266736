"""An email that names a template is filled when it is accepted: what is stored is what is sent, whatever becomes of the
template."""

from __future__ import annotations

from dataclasses import replace

from services.submission import NewEmail
from services.templates.finding import Shelf
from services.templates.rendering import render
from services.templates.sandbox import PARTS


def filled(email: NewEmail, shelf: Shelf) -> NewEmail:
    """With the template's parts where the email brings none of its own. InvalidInputError."""
    use = email.template
    if use is None:
        return email
    version = shelf.of_email(use.reference, use.version)
    parts = [part for part in PARTS if part not in use.given]
    rendered = render(version, use.variables, shelf, parts)
    return replace(
        email,
        subject=email.subject if "subject" in use.given else rendered.subject or "",
        html=email.html if "html" in use.given else rendered.html,
        text=email.text if "text" in use.given else rendered.text,
        template=None,
        made_of=(version.id, version.number) if version.id else None,
    )
