"""Rewrites the syntax tree of a template before it is compiled, so that all it does is paid for (budget.py)."""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from services.templates import operators
from services.templates.budget import ITEM

MAX_NODES = 20_000
MAX_DEPTH = 60  # of what stands within one another


def guarded(tree: nodes.Template, name: str | None) -> nodes.Template:
    """The tree, rewritten in its place. TemplateSyntaxError for what is not available here."""
    _check_size(tree, name)
    return _Guard(name).visit(tree)  # type: ignore[no-any-return]


def _check_size(tree: nodes.Node, name: str | None) -> None:
    count, level = 0, [tree]
    for _ in range(MAX_DEPTH):
        count += len(level)
        level = [child for node in level for child in node.iter_child_nodes()]
        if count > MAX_NODES:
            raise TemplateSyntaxError(f"there is more in it than {MAX_NODES} expressions", 1, name)
        if not level:
            return
    raise TemplateSyntaxError("too much stands within one another", level[0].lineno or 1, name)


def _weight(body: list[nodes.Node]) -> int:
    """What the static text of a body, and its expressions as such, are charged with each time."""
    text = sum(len(one.data) for node in body for one in node.find_all(nodes.TemplateData))
    return text + ITEM * sum(1 for node in body for _ in node.find_all(nodes.Node))


class _Guard(NodeTransformer):
    def __init__(self, name: str | None) -> None:
        self._name = name

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            raise TemplateSyntaxError("recursive loops are not available", node.lineno, self._name)
        weight = _weight(node.body)
        self.generic_visit(node)
        node.iter = _filter(node.iter, operators.EACH, nodes.Const(weight))
        return node

    def _visit_body(self, node: Any) -> nodes.Node:
        """A body that may be called many times."""
        weight = _weight(node.body)
        self.generic_visit(node)
        paying = _filter(nodes.Const(weight, lineno=node.lineno), operators.CHARGE)
        node.body.insert(0, nodes.ExprStmt(paying, lineno=node.lineno))
        return node  # type: ignore[no-any-return]

    visit_Macro = visit_CallBlock = visit_Block = _visit_body  # noqa: N815

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        rest = [part for one in node.ops for part in (nodes.Const(one.op), one.expr)]
        return _filter(node.expr, operators.COMPARE, *rest)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filter(node.nodes[0], operators.CONCAT, *node.nodes[1:])

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        parts = (node.arg.start, node.arg.stop, node.arg.step)
        return _filter(node.node, operators.SLICE, *(one or nodes.Const(None) for one in parts))

    def _visit_literal(self, node: Any) -> nodes.Node:
        constant = all(isinstance(one, nodes.Const | nodes.Pair) for one in node.iter_child_nodes())
        self.generic_visit(node)
        if getattr(node, "ctx", "load") != "load" or (constant and not isinstance(node, nodes.Dict)):
            return node  # type: ignore[no-any-return]
        return _filter(node, operators.LITERAL)

    visit_List = visit_Tuple = visit_Dict = _visit_literal  # noqa: N815

    def _visit_import(self, node: Any) -> nodes.Node:
        """Jinja keeps what is imported without context, and one email could change it for the next."""
        node.with_context = True
        return self.generic_visit(node)

    visit_Import = visit_FromImport = _visit_import  # noqa: N815

    def _refuse(self, node: nodes.Node) -> nodes.Node:
        raise TemplateSyntaxError("autoescape is not available", node.lineno, self._name)

    visit_ScopedEvalContextModifier = visit_EvalContextModifier = _refuse  # noqa: N815


def _filter(value: Any, name: str, *args: nodes.Expr) -> nodes.Filter:
    made = nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)
    made.set_environment(value.environment)
    for one in args:
        if one.environment is None:
            one.set_environment(value.environment)
            one.set_lineno(value.lineno)
    return made
