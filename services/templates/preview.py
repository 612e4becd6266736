"""A template shown with variables, complete or not, and sent to try it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services import accept
from services.accept import Answer, IdempotencyKey
from services.errors import NotFoundError
from services.principal import Principal
from services.relay import Relay
from services.submission import NewEmail, TemplateUse
from services.templates.compiled import Sources, Version, checked, trees, used
from services.templates.finding import Reference, Shelf
from services.templates.names import Used, loaded
from services.templates.rendering import Rendered, render
from utils.html_text import html_to_text

_MOST_LOADED = 50  # templates that are looked through


@dataclass(frozen=True, slots=True)
class Preview:
    """`variables` that it uses, `optional` among them, and which are `missing` of those that this rendering needed."""

    rendered: Rendered
    version: int | None
    variables: list[str]
    optional: list[str]

    def view(self) -> dict[str, Any]:
        done = self.rendered
        text = html_to_text(done.html) if done.text is None and done.html is not None else done.text
        return {
            "subject": done.subject or "", "html": done.html, "text": text, "text_derived": done.text is None,
            "version": self.version, "variables": self.variables, "optional": self.optional,
            "missing": list(done.missing),
        }  # fmt: skip


def preview(
    relay: Relay,
    who: Principal,
    reference: Reference,
    variables: Mapping[str, Any],
    number: int | None = None,
) -> Preview:
    """Of a stored version, the one in force by default. What is missing is shown as it stands in the template."""
    shelf = Shelf(relay.templates, who.tenant)
    return _preview(shelf.find(reference, number), variables, shelf)


def preview_of(
    relay: Relay,
    who: Principal,
    subject: str,
    html: str | None,
    text: str | None,
    variables: Mapping[str, Any],
) -> Preview:
    """Of what is not saved, held to the same rules."""
    version = Version(0, "preview", 0, checked(subject, html, text))
    return _preview(version, variables, Shelf(relay.templates, who.tenant))


def send_test(
    relay: Relay, who: Principal, reference: Reference, to: str, use: TemplateUse, smtp_config_id: int | None,
    now: int, key: IdempotencyKey | None = None,
) -> Answer:  # fmt: skip
    """Sent like all other mail, through the queue; `use` says with which version and variables."""
    shelf = Shelf(relay.templates, who.tenant)
    version = shelf.find(reference, use.version)
    use = TemplateUse(version.id, version.number, use.variables)
    email = NewEmail("", [to], smtp_config_id=smtp_config_id, tags=["template-test"], template=use)
    return accept.submit(relay, who, email, now, key)


def all_used(shelf: Shelf, sources: Sources) -> Used:
    """The variables of its own parts and of the templates that these name."""
    found = used(sources)
    seen: set[str] = set()
    waiting = _loaded(sources)
    while waiting and len(seen) < _MOST_LOADED:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            other = shelf.find(name).sources
        except NotFoundError:  # the rendering tells
            continue
        for path, needed in used(other).paths.items():
            found.add(path, needed)
        waiting += _loaded(other)
    return found


def _loaded(sources: Sources) -> list[str]:
    return [name for tree in trees(sources).values() for name in loaded(tree)]


def _preview(version: Version, variables: Mapping[str, Any], shelf: Shelf) -> Preview:
    found = all_used(shelf, version.sources)
    rendered = render(version, variables, shelf, lenient=True)
    return Preview(rendered, version.number or None, found.names, found.optional)
