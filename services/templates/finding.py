"""The templates of one owner, as one request sees them."""

from __future__ import annotations

from jinja2 import Template, TemplateNotFound

from models.database import row
from services.errors import FieldError, InvalidInputError, NotFoundError
from services.templates.compiled import Library, Sources, Version
from services.templates.errors import LimitError
from services.templates.sandbox import Part
from utils.clock import processor_seconds

Reference = str | int  # a template's name or id

MAX_PROCESSOR_SECONDS = 20.0  # of all renderings of a request
_BETWEEN_LOOKS = 16  # renderings


class Shelf:
    """What it has looked up once stays as it was until the request ends, so that all of a batch is of one version."""

    def __init__(self, library: Library, tenant: str) -> None:
        self._library = library
        self._tenant = tenant
        self._known: dict[tuple[Reference, int | None], Version] = {}
        self._ends_at = processor_seconds() + MAX_PROCESSOR_SECONDS
        self._renderings = 0
        self._is_over = False

    def find(self, reference: Reference, number: int | None = None) -> Version:
        """A version, the one in force unless its number is given. NotFoundError."""
        version = self._known.get((reference, number))
        if version is None:
            version = self._known[reference, number] = self._look_up(reference, number)
        return version

    def of_email(self, reference: Reference, number: int | None) -> Version:
        """The same for one that an email names: InvalidInputError."""
        try:
            return self.find(reference, number)
        except NotFoundError as exc:
            field = "template" if exc.code == "NOT_FOUND" else "template_version"
            raise InvalidInputError.of([FieldError(field, exc.message, "UNKNOWN_TEMPLATE")]) from None

    def template(self, name: object, part: Part) -> Template:
        """For a template that includes or extends it."""
        try:
            return self.find(str(name)).made(part, alone=False)
        except NotFoundError as exc:
            raise TemplateNotFound(str(name), exc.message) from None

    def check_time(self) -> None:
        """Before each rendering, but a look at the clock costs some microseconds."""
        self._renderings += 1
        if self._renderings % _BETWEEN_LOOKS == 1:
            self._is_over = processor_seconds() > self._ends_at
        if self._is_over:
            raise LimitError("the renderings of this request take too long together")

    def _look_up(self, reference: Reference, number: int | None) -> Version:
        template_id, name, current = locate(self._tenant, reference)
        number = current if number is None else number
        kept = self._library.get(template_id, number)
        if kept is not None and kept.name == name:
            return kept
        found = read_sources(template_id, number)
        if found is None:
            raise NotFoundError(f"the template {name} has no version {number}", code="NO_VERSION")
        return self._library.keep(Version(template_id, name, number, found))


def locate(tenant: str, reference: Reference) -> tuple[int, str, int]:
    """Id, name and version in force. NotFoundError unless it is there and the tenant's."""
    text = str(reference)
    if text.isascii() and text.isdigit():
        found = row(
            "SELECT id, name, version FROM templates WHERE id = ? AND tenant = ?",
            min(int(text), 2**63 - 1),
            tenant,
        )
    else:
        found = row("SELECT id, name, version FROM templates WHERE tenant = ? AND name = ?", tenant, text)
    if found is None:
        raise NotFoundError(f"no template {text[:100]}")
    return int(found[0]), str(found[1]), int(found[2])


def id_of(tenant: str, text: str) -> int:
    """The id that is meant by an id, also of one that was deleted, or by a name. InvalidInputError."""
    if text.isascii() and text.isdigit():
        return min(int(text), 2**63 - 1)
    try:
        return locate(tenant, text)[0]
    except NotFoundError as exc:
        raise InvalidInputError.of([FieldError("template", exc.message, "UNKNOWN_TEMPLATE")]) from None


def read_sources(template_id: int, number: int) -> Sources | None:
    found = row(
        "SELECT subject, html, text, css, inlined FROM template_versions WHERE template_id = ? AND version = ?",
        template_id, number,
    )  # fmt: skip
    return Sources(*found) if found else None
