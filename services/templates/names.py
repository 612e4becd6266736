"""Which variables a template uses, read from its syntax tree: `user.name`, `order.items[].title`.

What is only asked for with `is defined`, or has a `default`, is used, and need not be given. Of what macros take as
parameters nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

_Aliases = dict[str, str]  # a loop's variable → the path of what it runs over, with []
_FORGIVING = ("default", "d")


@dataclass(slots=True)
class Used:
    """`paths`: each with whether it must be given."""

    paths: dict[str, bool] = field(default_factory=dict)

    def add(self, path: str, needed: bool) -> None:
        self.paths[path] = self.paths.get(path, False) or needed

    @property
    def names(self) -> list[str]:
        return sorted(self.paths)

    @property
    def optional(self) -> list[str]:
        return sorted(path for path, needed in self.paths.items() if not needed)


def note(tree: nodes.Template, used: Used, known: frozenset[str]) -> None:
    """Add what a part uses. `known`: names that are there without being given."""
    outside = find_undeclared_variables(tree) - known
    found = Used()
    _visit(tree, {}, found, True)
    for path, needed in found.paths.items():
        if path.replace("[]", "").partition(".")[0] in outside:
            used.add(path, needed)


def loaded(tree: nodes.Template) -> list[str]:
    """The other templates that it names as such."""
    kinds = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
    found = []
    for one in tree.find_all(kinds):
        within: list[Any] = list(one.template.find_all(nodes.Const))  # type: ignore[attr-defined]
        whole = [one.template] if isinstance(one.template, nodes.Const) else within  # type: ignore[attr-defined]
        found += [const.value for const in whole if isinstance(const.value, str)]
    return found


def _path(node: nodes.Node, aliases: _Aliases) -> str | None:
    """The path that a name, or a chain of attributes, stands for."""
    if isinstance(node, nodes.Name):
        return aliases.get(node.name, node.name)
    if isinstance(node, nodes.Getattr):
        before = _path(node.node, aliases)
        return f"{before}.{node.attr}" if before else None
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        before = _path(node.node, aliases)
        if before is None:
            return None
        return f"{before}.{node.arg.value}" if isinstance(node.arg.value, str) else f"{before}[]"
    return None


def _visit(node: nodes.Node, aliases: _Aliases, found: Used, needed: bool) -> None:
    path = _path(node, aliases)
    if path is not None:
        if getattr(node, "ctx", "load") == "load":
            found.add(path, needed)
        return
    if isinstance(node, nodes.For):
        _visit_loop(node, aliases, found, needed)
        return
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):  # a method
        _visit(node.node.node, aliases, found, needed)
        rest: list[nodes.Node] = [*node.args, *node.kwargs]
    else:
        rest = list(node.iter_child_nodes())
    for one in rest:
        _visit(one, aliases, found, needed and not (_forgives(node) and one is node.node))  # type: ignore[attr-defined]


def _forgives(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name in _FORGIVING
    return isinstance(node, nodes.Test) and node.name in ("defined", "undefined")


def _visit_loop(node: nodes.For, aliases: _Aliases, found: Used, needed: bool) -> None:
    _visit(node.iter, aliases, found, needed)
    over = _path(node.iter, aliases)
    within = dict(aliases)
    if over is not None and isinstance(node.target, nodes.Name):
        within[node.target.name] = f"{over}[]"
    for one in [*([node.test] if node.test else []), *node.body]:
        _visit(one, within, found, needed)
    for one in node.else_:
        _visit(one, aliases, found, needed)
