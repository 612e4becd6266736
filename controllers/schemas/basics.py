"""What the schemas of answers are made of."""

from __future__ import annotations

from controllers.schemas.components import Named, Schema

TEXT: Schema = {"type": "string"}
BINARY: Schema = {"type": "string", "format": "binary"}
TIME: Schema = {"type": "string", "format": "date-time"}
MOMENT: Schema = {"type": "integer", "format": "int64", "minimum": 0}  # ms since the epoch
COUNT: Schema = {"type": "integer", "minimum": 0}
ID: Schema = {"type": "integer", "format": "int64", "minimum": 1}
YES_NO: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object", "additionalProperties": True}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def obj(**properties: Schema) -> Schema:
    """An object that always has these; more may come."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def told(schema: Schema, description: str) -> Schema:
    return schema.at(description) if isinstance(schema, Named) else schema | {"description": description}


def named(name: str, description: str = "", /, **properties: Schema) -> Named:
    """An object under a name of its own."""
    return Named(name, obj(**properties), description)


def with_more(schema: Schema, **properties: Schema) -> Schema:
    """The same with properties that may be missing."""
    return schema | {"properties": schema["properties"] | properties}
