"""What a template can be refused for, on its way to a caller's error."""

from __future__ import annotations

from jinja2 import TemplateRuntimeError, UndefinedError


class LimitError(TemplateRuntimeError):
    """It would take too much."""


class MissingVariableError(UndefinedError):
    """`path`: how the template would reach what it was not given."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is missing")
        self.path = path
