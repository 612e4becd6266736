"""/openapi.json: APIFlask collects the paths, and the operations say the rest themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from pydantic import BaseModel

from controllers import openapi_texts as texts
from controllers.operation import Operation
from controllers.schemas import answers as says
from controllers.schemas.components import REF, Components
from utils.version import VERSION

# What each operation really answered: id → status → body. Recorded by `python -m tests.openapi.record`.
_EXAMPLES = Path(__file__).with_name("examples.json")
_METHODS = ("post", "get", "put", "patch", "delete")  # as a reader comes to them
_SHARED = "#/components/{kind}/{name}"


def register(app: APIFlask) -> None:
    app.title, app.version, app.description = "Mailferry", VERSION, texts.DESCRIPTION
    app.license = {"name": "MIT", "identifier": "MIT"}
    app.contact = {"name": "Mailferry"}
    app.servers = [{"url": "/", "description": "this relay"}]
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.config["AUTO_SERVERS"] = False
    app.tags = [{"name": name, "description": told} for name, told in texts.TAGS.items()]
    app.security_schemes = texts.SECURITY
    operations = {one.id: one for one in _operations(app)}

    @app.spec_processor
    def complete(spec: dict[str, Any] | str) -> dict[str, Any]:
        assert isinstance(spec, dict)
        shared = spec.setdefault("components", {})
        schemas: dict[str, Any] = {}
        components = Components(schemas, texts.ENUMS)
        shared |= _shared(components)
        examples = json.loads(_EXAMPLES.read_text()) if _EXAMPLES.exists() else {}
        for path, methods in spec["paths"].items():
            for method, described in methods.items():
                about = operations[described["operationId"]]
                methods[method] = described | _described(path, method, about, components)
                _show(methods[method]["responses"], examples.get(about.id, {}))
            spec["paths"][path] = {method: methods[method] for method in _METHODS if method in methods}
        shared["schemas"] = dict(sorted(schemas.items()))
        return spec


def _operations(app: APIFlask) -> list[Operation]:
    return [view.operation for view in app.view_functions.values() if hasattr(view, "operation")]


def _shared(components: Components) -> dict[str, Any]:
    """What many operations refer to."""
    error = {"schema": components.plain(says.ERROR)}
    responses: dict[str, Any] = {}
    for name, description, example, headers in texts.ERRORS.values():
        responses[name] = {
            "description": description,
            "content": {"application/json": error | {"example": example}},
            **_headers(headers),
        }
    return {"responses": responses, "headers": texts.HEADERS, "parameters": texts.NAMING}


def _described(path: str, method: str, about: Operation, components: Components) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": _description(about),
        "parameters": _parameters(path, about, components),
        "responses": _responses(path, method, about, components),
        "security": [{name: []} for name in texts.SECURITY] if about.scope else [],
    }
    if about.by_link:
        found["security"].append({})
    if about.raw_content:
        content = {"schema": says.BINARY, "example": about.example}
        found["requestBody"] = {"required": True, "content": {about.raw_content: content}}
    if about.body is not None:
        found["requestBody"] = _request_body(about, components)
    return found


def _description(about: Operation) -> str:
    """What the handler's docstring says, and who may call it."""
    if about.scope is None:
        who = "Anyone may call it."
    else:
        service = " of a service key" if about.service_only else ""
        user = ", and a user whom it is for" if about.of_user else ""
        who = f"Needs the scope `{about.scope}`{service}{user}. Its calls are limited with the group `{about.group}`."
    return f"{about.description}\n\n{who}".strip()


def _parameters(path: str, about: Operation, components: Components) -> list[dict[str, Any]]:
    found = [_in_path(part.strip("{}")) for part in path.split("/") if part.startswith("{")]
    if about.query is not None:
        schema = _schema(about.query, components)
        needed = schema.get("required", [])
        found += [
            {"name": name, "in": "query"}
            | ({"required": True} if name in needed else {})
            | _lifted(components.plain(_without_null(one)))
            for name, one in schema["properties"].items()
        ]
    found += [{"name": name, "in": "header", **_lifted(schema)} for name, schema in about.headers.items()]
    naming = [{"$ref": _SHARED.format(kind="parameters", name=name)} for name in texts.NAMING]
    return found + naming if about.scope else found


def _in_path(name: str) -> dict[str, Any]:
    description, schema = texts.PATHS.get(name, (f"The {name.removesuffix('_id')}'s id", texts.ID))
    plain = {"$ref": REF.format(model="EmailStatus")} if name == "status" else schema
    return {"name": name, "in": "path", "required": True, "description": description, "schema": plain}


def _lifted(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter has its description beside its schema."""
    others = {key: one for key, one in schema.items() if key not in ("description", "title")}
    return {key: schema[key] for key in ("description",) if key in schema} | {"schema": others}


def _responses(path: str, method: str, about: Operation, components: Components) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, (description, schema) in about.answers.items():
        answers[str(status)] = {"description": description, **_headers(about.sets)}
        if schema is not None:
            answers[str(status)]["content"] = {about.content_type: {"schema": components.plain(schema)}}
    for status in sorted(_error_statuses(path, method, about) - about.answers.keys()):
        answers[str(status)] = {"$ref": _SHARED.format(kind="responses", name=texts.ERRORS[status][0])}
    return answers


def _show(answers: dict[str, Any], examples: dict[str, Any]) -> None:
    for status, example in examples.items():
        for content in answers[status].get("content", {}).values():
            content["example"] = example


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    found = {name: {"$ref": _SHARED.format(kind="headers", name=name)} for name in names}
    return {"headers": found} if found else {}


def _error_statuses(path: str, method: str, about: Operation) -> set[int]:
    found = {400, *about.errors}
    if method != "get":
        found.add(413)
    if about.scope is not None:
        found |= {401, 403, 429, 503}
    if "{" in path:
        found.add(404)
    if path.endswith("}") and method in ("put", "patch", "delete"):
        found.add(405)
    return found


def _request_body(about: Operation, components: Components) -> dict[str, Any]:
    assert about.body is not None
    content: dict[str, Any] = {"schema": _model(about.body, components)}
    if about.examples:
        content["examples"] = {
            f"example{number}": {"summary": summary, "value": value}
            for number, (summary, value) in enumerate(about.examples.items(), 1)
        }
    elif about.example is not None:
        content["example"] = about.example
    by_type = {"application/json": content}
    if about.form is not None:
        example = dict.fromkeys(about.form["required"], "its bytes")
        by_type["multipart/form-data"] = {"schema": components.plain(about.form), "example": example}
    return {"required": not about.body_optional, "content": by_type}


def _model(model: type[BaseModel], components: Components) -> dict[str, Any]:
    schema = _schema(model, components)
    return components.add(schema.pop("title"), _without_defaults(schema))


def _schema(model: type[BaseModel], components: Components) -> dict[str, Any]:
    """Its JSON schema. Models within it go to the components, under their titles."""
    found = model.model_json_schema(ref_template=REF)
    titles = {name: one["title"] for name, one in found.get("$defs", {}).items() if "title" in one}
    text = json.dumps(found)
    for name, title in titles.items():
        text = text.replace(f'"{REF.format(model=name)}"', f'"{REF.format(model=title)}"')
    schema: dict[str, Any] = json.loads(text)
    for name, one in schema.pop("$defs", {}).items():
        components.add(one.pop("title", name), _without_defaults(one))
    return schema


def _without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Defaults in words: generators take a property that has one for always there, which in a request it is not."""
    properties = {}
    for name, one in schema.get("properties", {}).items():
        default, others = one.get("default"), {key: value for key, value in one.items() if key != "default"}
        if default is not None and default != "":
            told = [others["description"]] if "description" in others else []
            others["description"] = "; ".join([*told, f"{json.dumps(default)} unless given"])
        properties[name] = others
    return schema | ({"properties": properties} if properties else {})


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is absent, never null."""
    schema = {**schema}
    if schema.get("default", "") is None:
        del schema["default"]
    others = [one for one in schema.pop("anyOf", []) if one != {"type": "null"}]
    return schema | others[0] if others else schema
