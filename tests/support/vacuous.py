"""Finds tests that can pass without a check, from their source.

A test checks for certain if every path through it meets an assertion, an expected exception, or a
function that checks for certain. The body of a loop counts only if the loop runs at least once:
over a literal, or over `nonempty(...)`; so does an assertion of `all(...)`. A path that returns
before its first check has none. An expected `Exception` without a `match` is any fault of the test.
"""

import ast
from collections.abc import Iterator, Mapping, Sized
from typing import Final, TypeAlias, TypeVar

_Filled = TypeVar("_Filled", bound=Sized)
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
# What raises where something is not as it should be; others do only with check=True.
_CHECKS: Final = {"raises", "warns", "fail", "raise_for_status", "validate"}
_ANY_EXCEPTION: Final = {"Exception", "BaseException"}
# They wait until something holds, and fail when it never does.
_WAITS: Final = {"tests.support.server.eventually", "tests.support.connections.until"}
# Calls that yield at least one item if each argument does.
_SAME_LENGTH: Final = {"enumerate", "reversed", "sorted", "list", "tuple", "set", "zip", "product"}
_OF_ITS_OWN: Final = {"items", "values", "keys", "split", "splitlines"}


def nonempty(items: _Filled) -> _Filled:
    """Returns the items, of which there must be at least one."""
    assert len(items) > 0
    return items


class Sources:
    """The modules of the tests by name, and which of their functions check for certain."""

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self._checking = set(_WAITS)
        self._readers = {
            name: _Reader(name, tree, self._checking) for name, tree in modules.items()
        }
        while sum(reader.find_checking() for reader in self._readers.values()):
            pass

    def faults(self, module: str) -> Iterator[tuple[int, str]]:
        """Yields the line and the kind of each assertion and test that cannot fail."""
        return self._readers[module].faults()


_Values: TypeAlias = dict[str, ast.expr]
_Kinds: TypeAlias = tuple[type[ast.stmt], ...]
_EXITS: Final[_Kinds] = (ast.Return, ast.Continue, ast.Break)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yields the blocks of a compound statement, of which not every one need run."""
    for name in ("body", "orelse", "finalbody"):
        yield getattr(node, name, [])
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield part.body


def _expects_anything(node: ast.Call) -> bool:
    """Returns whether a call is `raises(Exception)`, and no text is expected either."""
    match node:
        case ast.Call(
            func=ast.Name(id="raises") | ast.Attribute(attr="raises"), args=[kind, *_]
        ) if not any(keyword.arg in {"match", "check"} for keyword in node.keywords):
            kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
            return any(isinstance(k, ast.Name) and k.id in _ANY_EXCEPTION for k in kinds)
    return False


def _bound(body: list[ast.stmt]) -> _Values:
    """Returns the names that a block binds once, and their values."""
    bound: dict[str, list[ast.expr]] = {}
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                bound.setdefault(name, []).append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                bound.setdefault(name, []).append(value)
    return {name: values[0] for name, values in bound.items() if len(values) == 1}


class _Reader:
    """Reads one module; `checking` has the full names of all functions that check."""

    def __init__(self, module: str, tree: ast.Module, checking: set[str]) -> None:
        self._checking = checking
        self._constants = _bound(tree.body)
        self._asserts: list[ast.Assert] = []
        self._functions: dict[str, _Function] = {}
        self._names: dict[str, str] = {}
        self._anything: list[ast.Call] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _expects_anything(node):
                self._anything.append(node)
            elif isinstance(node, ast.Assert):
                self._asserts.append(node)
            elif isinstance(node, _Function):
                self._names[node.name] = f"{module}.{node.name}"
                self._functions[self._names[node.name]] = node
            elif isinstance(node, ast.ImportFrom):
                for each in node.names:
                    self._names[each.asname or each.name] = f"{node.module}.{each.name}"

    def find_checking(self) -> bool:
        """Returns whether more functions of the module prove to check."""
        more = {
            name
            for name, node in self._functions.items()
            if name not in self._checking and self._block(node.body, self._constants)
        }
        self._checking |= more
        return bool(more)

    def faults(self) -> Iterator[tuple[int, str]]:
        """Yields the line and the kind of each fault."""
        for node in self._asserts:
            if isinstance(node.test, ast.IfExp):
                yield node.lineno, "it asserts a conditional expression"
        for call in self._anything:
            yield call.lineno, "it expects an exception of any kind"
        for name, function in self._functions.items():
            if function.name.startswith("test_") and name not in self._checking:
                yield function.lineno, f"{function.name} can pass without a check"

    def _block(self, body: list[ast.stmt], outer: _Values) -> bool:
        """Returns whether each path through a block meets a check."""
        return self._first(body, outer) is True

    def _first(self, body: list[ast.stmt], outer: _Values, exits: _Kinds = _EXITS) -> bool | None:
        """Returns what comes first: a check (True), a possible exit (False), or neither."""
        values = {**outer, **_bound(body)}
        for node in body:
            if self._statement(node, values):
                return True
            if self._may_leave(node, values, exits):
                return False
        return None

    def _may_leave(self, node: ast.stmt, values: _Values, exits: _Kinds) -> bool:
        """Returns whether a path through a statement leaves its block without a check."""
        if isinstance(node, exits):
            return True
        if isinstance(node, _Function | ast.ClassDef):
            return False
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            exits = (ast.Return,)  # the others leave this loop only
        return any(self._first(block, values, exits) is False for block in _blocks(node))

    def _statement(self, node: ast.stmt, values: _Values) -> bool:  # noqa: PLR0911
        match node:
            case ast.Assert(
                test=ast.Call(func=ast.Name(id="all"), args=[ast.GeneratorExp(generators=loops)])
            ):
                return all(_is_filled(loop.iter, values) and not loop.ifs for loop in loops)
            case ast.Assert():
                return True
            case ast.With() | ast.AsyncWith():
                entered = any(self._calls(item.context_expr) for item in node.items)
                return entered or self._block(node.body, values)
            case ast.For() | ast.AsyncFor():
                runs = _is_filled(node.iter, values) and self._block(node.body, values)
                return runs or self._calls(node.iter)
            case ast.If() | ast.While():
                both = self._block(node.body, values) and self._block(node.orelse, values)
                return both or self._calls(node.test)
            case ast.Try():
                blocks = (node.body, node.orelse, node.finalbody)
                return any(self._block(block, values) for block in blocks)
            case ast.Match():
                return all(self._block(case.body, values) for case in node.cases)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return False
        return self._calls(node)

    def _calls(self, node: ast.AST) -> bool:
        """Returns whether a check is called, or handed on to be called."""
        for part in ast.walk(node):
            match part:
                case ast.Name(id=name) if self._names.get(name) in self._checking:
                    return True
                case ast.Attribute(attr=name) if name in _CHECKS or name.startswith("assert_"):
                    return True
                case ast.keyword(arg="check", value=ast.Constant(value=True)):
                    return True
        return False


def _is_filled(node: ast.expr, values: _Values) -> bool:  # noqa: PLR0911
    """Returns whether an iterable has an item for certain."""
    match node:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return any(
                _is_filled(part.value, values) if isinstance(part, ast.Starred) else True
                for part in parts
            )
        case ast.Dict(keys=keys):
            return any(keys)  # None stands for `**`
        case ast.Constant(value=str() | bytes() as text):
            return bool(text)
        case ast.Name(id=name):
            others = {other: value for other, value in values.items() if other != name}
            return name in values and _is_filled(values[name], others)
        case ast.BinOp(left=left, op=ast.Add() | ast.BitOr(), right=right):
            return _is_filled(left, values) or _is_filled(right, values)
        case ast.Call(func=ast.Name(id="nonempty" | "range")):
            return True
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _SAME_LENGTH:
            return all(_is_filled(argument, values) for argument in arguments)
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _OF_ITS_OWN:
            return _is_filled(value, values)
    return False
