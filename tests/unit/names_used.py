"""Finds where SQL and Python write down a state, an event type, an event status or a trigger, and checks each one.

SQL is parsed by sqlglot, so that a state is compared with those of the table that its column belongs to. Python is
parsed by `ast`; SQL inside its strings is read token by token, for such text is often a part of a statement.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple, get_args

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from coremachine.statemachine.lifecycle import EventStatus
from coremachine.statemachine.lifecycles import LIFECYCLES, NOTES
from coremachine.statemachine.tables import SCHEMA

STATES = {record.table: frozenset(record.lifecycle.by_name) for record in SCHEMA.records}
ALL_STATES = frozenset[str]().union(*STATES.values())
NOTE_TYPES = frozenset(note.type for note in NOTES)
EVENT_TYPES = NOTE_TYPES.union(*(lifecycle.event_types for lifecycle in LIFECYCLES))
EVENT_STATUSES = frozenset(get_args(EventStatus))
MACHINES = {lifecycle.name.upper(): lifecycle for lifecycle in LIFECYCLES}
TRIGGERS = {one.trigger for lifecycle in LIFECYCLES for one in lifecycle.transitions}

SQL_COLUMNS = {
    "event_type": EVENT_TYPES,
    "event_status": EVENT_STATUSES,
    "machine": frozenset(lifecycle.name for lifecycle in LIFECYCLES),
}
PY_NAMES = {
    "state": ALL_STATES,
    "source": ALL_STATES,
    "target": ALL_STATES,
    "states": ALL_STATES,
    "sources": ALL_STATES,
    "status": ALL_STATES | EVENT_STATUSES,
    "trigger": TRIGGERS,
    "event_type": EVENT_TYPES,
    "event_status": EVENT_STATUSES,
}
COMPARISONS = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ, exp.In)
WRAPPERS = (exp.Any, exp.Array, exp.Cast, exp.Paren, exp.Tuple, exp.Subquery, exp.Select, exp.Literal, exp.Case, exp.If)


class Unknown(NamedTuple):
    """A name that the declaration does not have, and what it was used as."""

    name: str
    used_as: str


def unknown_in_sql(text: str) -> list[Unknown]:
    """The names in a statement that no lifecycle declares for the column they are used with."""
    found: list[Unknown] = []
    for statement in sqlglot.parse(text, read="postgres"):
        for column, literals in _sql_uses(statement) if statement is not None else ():
            allowed = _allowed(column)
            if allowed is not None:
                found += [Unknown(one, column.sql()) for one in literals if one not in allowed]
    return found


def _sql_uses(statement: exp.Expr) -> Iterator[tuple[exp.Column, list[str]]]:
    for node in statement.find_all(*COMPARISONS):
        for column, other in ((node.this, node.expression), (node.expression, node.this)):
            if isinstance(column, exp.Column):
                values = node.expressions if isinstance(node, exp.In) else [other]
                yield column, [text for value in values if value is not None for text in _literals(value)]
    for case in statement.find_all(exp.Case):
        if isinstance(case.this, exp.Column):
            yield case.this, [text for branch in case.args["ifs"] for text in _literals(branch.this)]
    for insert in statement.find_all(exp.Insert):
        yield from _inserted(insert)
    for table in statement.find_all(exp.Values):
        yield from _listed(table)
    for named in statement.find_all(exp.Alias):
        if isinstance(named.this, exp.Literal) and named.alias in {"status", *SQL_COLUMNS}:
            yield exp.column(named.alias), list(_literals(named.this))


def _listed(table: exp.Values) -> Iterator[tuple[exp.Column, list[str]]]:
    alias = table.args.get("alias")
    for position, name in enumerate(alias.columns if alias else ()):
        rows = [row.expressions[position] for row in table.expressions if isinstance(row, exp.Tuple)]
        yield exp.column(name.name), [text for value in rows for text in _literals(value)]


def _inserted(insert: exp.Insert) -> Iterator[tuple[exp.Column, list[str]]]:
    if not isinstance(insert.this, exp.Schema):
        return
    table, source = insert.this.this.name, insert.expression
    rows = [row.expressions for row in source.expressions] if isinstance(source, exp.Values) else [source.expressions]
    for row in rows:
        for name, value in zip(insert.this.expressions, row, strict=False):
            yield exp.column(name.name, table), list(_literals(value))


def _literals(value: exp.Expr) -> Iterator[str]:
    """The strings that `value` may be: what a function makes of strings is something else."""
    if isinstance(value, exp.Literal) and value.is_string:
        is_array = value.name.startswith("{") and value.name != "{}"
        yield from value.name.strip("{}").split(",") if is_array else [value.name]
    elif isinstance(value, WRAPPERS):
        for part in value.iter_expressions():
            if not isinstance(part, exp.DataType):
                yield from _literals(part)


def _allowed(column: exp.Column) -> frozenset[str] | None:
    if column.name != "status":
        return SQL_COLUMNS.get(column.name)
    tables = _tables(column) if column.parent or column.table not in STATES else {column.table}
    known = [STATES[table] for table in tables if table in STATES]
    return frozenset[str]().union(*known) if known else ALL_STATES


def _tables(column: exp.Column) -> set[str]:
    """The tables that a column may belong to, looked for from the innermost query outwards."""
    scope = column.find_ancestor(exp.Select, exp.Update, exp.Delete)
    while scope is not None:
        froms = [scope.this] if isinstance(scope, exp.Update | exp.Delete) else []
        parts = (scope.args.get("from_"), *(scope.args.get("joins") or ()))
        froms += [part.this for part in parts if part is not None]
        named = {table.alias_or_name: table.name for table in froms if isinstance(table, exp.Table)}
        if not column.table:
            return set(named.values()) if len(named) == len(froms) else set()
        if column.table in named:
            return {named[column.table]}
        scope = scope.find_ancestor(exp.Select, exp.Update, exp.Delete)
    return set()


def unknown_in_python(text: str) -> list[Unknown]:
    """The names in a module that no lifecycle declares for what they are used as."""
    found: list[Unknown] = []
    nodes = list(ast.walk(ast.parse(text)))
    types = {id(node.slice) for node in nodes if isinstance(node, ast.Subscript) and _name(node.value) == "Literal"}
    for node in nodes:
        if id(node) in types:  # the words of a type, which mypy holds to what is compared with it
            continue
        for names, used_as, allowed in _python_uses(node):
            found += [Unknown(name, used_as) for name in names if name not in allowed]
        found += _unknown_in_string(node)
    return found


Use = tuple[Iterable[str], str, Iterable[str]]


def _python_uses(node: ast.AST) -> Iterator[Use]:
    match node:
        case ast.Compare(left=left, comparators=others):
            for one, other in ((left, others[-1]), (others[-1], left)):
                if (name := _name(one)) in PY_NAMES:
                    yield _strings(other), name, PY_NAMES[name]
        case ast.Match(subject=subject, cases=cases) if (name := _name(subject)) in PY_NAMES:
            patterns = [
                inner for case in cases for inner in ast.walk(case.pattern) if isinstance(inner, ast.MatchValue)
            ]
            yield [text for one in patterns for text in _strings(one.value)], name, PY_NAMES[name]
        case ast.Assign(targets=[target], value=value):
            yield from _assigned(target, value)
        case ast.Dict(keys=keys, values=values):
            yield from _mapped(keys, values)
        case ast.Call():
            yield from _call_uses(node)
        case ast.Set(elts=elements) | ast.Tuple(elts=elements) | ast.List(elts=elements):
            yield from _list_uses(elements)
        case _:
            return


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[Use]:
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=False))
    for one, given in pairs:
        if (name := _name(one)) in PY_NAMES:
            yield _strings(given), name, PY_NAMES[name]


def _mapped(keys: list[ast.expr | None], values: list[ast.expr]) -> Iterator[Use]:
    for key, value in zip(keys, values, strict=True):
        if isinstance(key, ast.Constant) and key.value in {"event_type", "event_status"}:
            yield _strings(value), str(key.value), PY_NAMES[str(key.value)]


def _call_uses(call: ast.Call) -> Iterator[Use]:
    name = _name(call.func)
    for keyword in call.keywords:
        if keyword.arg in PY_NAMES and (keyword.arg != "source" or name == "Edge"):
            yield _strings(keyword.value), str(keyword.arg), PY_NAMES[str(keyword.arg)]
        if (name, keyword.arg) == ("Note", "type"):
            yield _strings(keyword.value), "note", NOTE_TYPES
        if keyword.arg == "event" and name.startswith("Gap"):
            yield _strings(keyword.value), "event", EVENT_TYPES
    if name == "events_of":
        yield [text for one in call.args for text in _strings(one)], "event type", EVENT_TYPES
    if name == "Decision" and call.args:
        yield _strings(call.args[0]), "trigger", TRIGGERS
    if name == "Subject" and len(call.args) > 1:
        yield _strings(call.args[1]), "state", ALL_STATES
    if name == "fire" and len(call.args) > 1:
        yield from _fire_uses(call)


def _fire_uses(call: ast.Call) -> Iterator[Use]:
    """What is fired on a machine that is named, as in `machine_of(TASK).fire(…)`, is one of that machine's."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    machine = _name(owner.args[0]) if isinstance(owner, ast.Call) and owner.args else ""
    lifecycle = MACHINES.get(machine)
    triggers = {one.trigger for one in lifecycle.transitions} if lifecycle else TRIGGERS
    yield _strings(call.args[1]), f"trigger of {machine}", triggers
    subject = call.args[0]
    if lifecycle and isinstance(subject, ast.Call) and len(subject.args) > 1:
        yield _strings(subject.args[1]), f"state of {machine}", lifecycle.by_name


def _list_uses(elements: list[ast.expr]) -> Iterator[Use]:
    """A list that is half of states, or has an event type in it, is one of states, or of event types."""
    names = [
        element.value for element in elements if isinstance(element, ast.Constant) and isinstance(element.value, str)
    ]
    if len(names) < len(elements) or len(names) < 2:
        return
    if any(name in EVENT_TYPES - {"progress", "checkpoint"} for name in names):
        yield names, "event types", EVENT_TYPES
    elif 2 * sum(name in ALL_STATES for name in names) >= len(names):
        yield names, "states", ALL_STATES


def _unknown_in_string(node: ast.AST) -> Iterator[Unknown]:
    """SQL in a string: a column, an operator, and the literals that follow."""
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values]
        text = "".join(parts)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    else:
        return
    if "status" not in text and "event_type" not in text:
        return
    try:
        found = sqlglot.tokenize(text, read="postgres")
    except sqlglot.TokenError:
        return
    for position, token in enumerate(found):
        allowed = {"status": ALL_STATES, **SQL_COLUMNS}.get(token.text)
        if allowed is not None and token.token_type is not TokenType.STRING:
            yield from (Unknown(name, token.text) for name in _compared(found[position + 1 :]) if name not in allowed)


COMPARING = {"=", "<>", "!=", "NOT", "IN", "IS", "DISTINCT", "FROM", "(", ","}


def _compared(rest: list[Token]) -> Iterator[str]:
    if not rest or rest[0].text.upper() not in COMPARING - {",", "("}:
        return
    for token in rest:
        if token.token_type is TokenType.STRING:
            yield token.text
        elif token.text.upper() not in COMPARING:
            return


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
        case _:
            return ""


def _strings(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.Set(elts=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [text for part in parts for text in _strings(part)]
        case ast.Call(func=ast.Name(id="frozenset"), args=parts):
            return [text for part in parts for text in _strings(part)]
        case ast.IfExp(body=one, orelse=other):
            return [*_strings(one), *_strings(other)]
        case _:
            return []
