"""Mutants of the machine's own guards: a refusal, or one operand of its condition, taken out of a function."""

import ast
import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import pytest


class Mutant(NamedTuple):
    """One function with one thing less."""

    name: str
    function: Any
    code: Any


def of_module(module: ModuleType) -> Iterator[Mutant]:
    """Every refusal in the functions of a module, and every operand of a condition, one less."""
    source = inspect.getsource(module)
    count = sum(1 for _ in _places(ast.parse(source)))
    for at in range(count):
        tree = ast.parse(source)
        place = list(_places(tree))[at]
        line, what = place.node.lineno, ast.unparse(place.node)[:60]
        place.take_out()
        made: dict[str, Any] = {"__name__": module.__name__, "__package__": module.__package__}
        exec(compile(ast.fix_missing_locations(tree), str(module.__file__), "exec"), made)  # noqa: S102 - the mutant
        original = getattr(module, place.function)
        yield Mutant(f"{place.function}, line {line}: {what}", original, made[place.function].__code__)


class Place(NamedTuple):
    """Where something can be taken out."""

    function: str
    node: Any
    take_out: Callable[[], None]


def _places(tree: ast.Module) -> Iterator[Place]:
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                yield from _of_node(function.name, node)


def _of_node(function: str, node: ast.AST) -> Iterator[Place]:
    if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
        yield Place(function, node.body[-1], partial(node.body.__setitem__, -1, ast.Pass()))
    if isinstance(node, ast.Return) and _refuses(node.value):
        yield Place(function, node.value, partial(setattr, node, "value", ast.Constant(None)))
    if isinstance(node, ast.BoolOp):
        for at, operand in enumerate(node.values):
            other = node.values[at - 1]  # `a and a` is what is left of `a and b`
            yield Place(function, operand, partial(node.values.__setitem__, at, other))


def _refuses(value: ast.AST | None) -> bool:
    return isinstance(value, ast.IfExp | ast.JoinedStr) or (
        isinstance(value, ast.Constant) and isinstance(value.value, str)
    )


@contextmanager
def in_place(mutant: Mutant) -> Generator[None]:
    """The mutant instead of the function, whoever has got hold of it."""
    original = mutant.function.__code__
    mutant.function.__code__ = mutant.code
    try:
        yield
    finally:
        mutant.function.__code__ = original


def first_failure(module: ModuleType) -> str | None:
    """The first test of a module that fails. Tests that want a fixture are left out."""
    for name, function in list(vars(module).items()):
        if name.startswith("test_") and isinstance(function, FunctionType):
            for given in _cases(function):
                try:
                    function(**given)
                except (Exception, pytest.fail.Exception) as failure:  # noqa: BLE001 - however it fails
                    return f"{name}: {type(failure).__name__}"
    return None


def _cases(function: FunctionType) -> Iterator[dict[str, Any]]:
    choices: list[list[dict[str, Any]]] = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            names = mark.args[0].split(",") if isinstance(mark.args[0], str) else list(mark.args[0])
            names = [name.strip() for name in names]
            rows = [row.values if isinstance(row, type(pytest.param())) else _row(row, names) for row in mark.args[1]]
            choices.append([dict(zip(names, row, strict=True)) for row in rows])
    for chosen in product(*choices):
        given = {name: value for one in chosen for name, value in one.items()}
        if set(given) == set(inspect.signature(function).parameters):
            yield given


def _row(row: Any, names: list[str]) -> Any:
    return row if len(names) > 1 else (row,)
