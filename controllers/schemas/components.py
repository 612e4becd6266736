"""Schemas under names of their own: what a generated client makes its types of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

REF = "#/components/schemas/{model}"
_VALUES = frozenset({"default", "const", "enum", "example", "examples", "required"})


class Named(dict[str, Any]):
    """A schema that stands once among the components, and everywhere else as a reference."""

    def __init__(self, name: str, schema: Schema, description: str = "", here: str = "") -> None:
        """`here`: what is to be said of it in this one place."""
        super().__init__(schema | ({"description": description} if description else {}))
        self.name, self.here = name, here

    def at(self, here: str) -> Named:
        return Named(self.name, dict(self), here=here)


class Components:
    """Collects named schemas. `enums`: name → values; a list of just these values gets that name wherever it is."""

    def __init__(self, schemas: Schema, enums: Mapping[str, tuple[str, ...]]) -> None:
        self.schemas = schemas
        self._enums = {values: name for name, values in enums.items()}

    def add(self, name: str, schema: Schema) -> Schema:
        """A reference to it."""
        if name not in self.schemas:
            self.schemas[name] = {}  # it may refer to itself
            self.schemas[name] = self._inside(schema)
        return {"$ref": REF.format(model=name)}

    def plain(self, schema: Schema) -> Schema:
        """The schema with references in place of all that has a name."""
        if isinstance(schema, Named):
            here = {"description": schema.here} if schema.here else {}
            return self.add(schema.name, dict(schema)) | here
        if "properties" in schema and "title" in schema:  # a model that pydantic has put in its place
            return {"$ref": REF.format(model=schema["title"])}
        name = self._enums.get(tuple(schema["enum"])) if "enum" in schema else None
        if name is not None:
            others = {key: one for key, one in schema.items() if key not in ("type", "enum")}
            return self.add(name, {"type": "string", "enum": schema["enum"]}) | others
        return self._inside(schema)

    def _inside(self, schema: Schema) -> Schema:
        return {key: self._part(key, one) for key, one in schema.items()}

    def _part(self, key: str, value: Any) -> Any:
        if key in _VALUES:
            return value
        if key == "properties":
            return {name: self.plain(_untitled(one)) for name, one in value.items()}
        if isinstance(value, dict):
            return self.plain(value)
        if isinstance(value, list):
            return [self.plain(one) if isinstance(one, dict) else one for one in value]
        return value


def _untitled(schema: Schema) -> Schema:
    """Pydantic's titles only repeat the names of the fields."""
    if isinstance(schema, Named):
        return schema
    return {key: one for key, one in schema.items() if key != "title"}
