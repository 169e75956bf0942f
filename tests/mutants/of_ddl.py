"""Mutants of the DDL: each constraint, index, trigger, function, row and privilege that is generated, one less."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlglot import exp

from coremachine.sql_generator.schema import ddl
from coremachine.sql_generator.text import parse, render
from coremachine.statemachine.tables import JOB_EVENTS, SCHEMA
from tests.mutants.conditions import Left, conditions_out, taken_out
from tests.mutants.of_functions import pieces_out
from tests.mutants.of_guards import MOVED, UNDECLARED, of_guard
from tests.mutants.of_views import of_view

TABLES = {record.table: record.machine for record in SCHEMA.records}
CREATES = re.compile(
    r"CREATE (?:OR REPLACE )?(?:UNIQUE )?(TABLE|INDEX|TRIGGER|FUNCTION|VIEW)(?: IF NOT EXISTS)? (\S+?)[\s(]"
)
WHEN = re.compile(r"\bWHEN \((.*)\)\s*EXECUTE FUNCTION", re.DOTALL)
UPDATED = re.compile(r"\bUPDATE OF ([\w, ]+?)\s+ON\b")
COMPARED = "OLD.status || ' ' || NEW.status || ' ' || NEW.event_type || ' ' || NEW.event_status"
EDGE = re.compile(r'"(\w+ \w+ \w+ \w+)"')
ON = re.compile(r"\bON\s+app\.(\w+)")
ABOUT = {
    "retire_jobs": "retiring",
    "write_notes": "log",
    "stamp_move": "stamps",
    "refuse_telling": "log",
    **dict.fromkeys(("refuse_change", "refuse_change_of"), "repairing"),
    "refuse_rewrite": "log",
    "forget": "upkeep",
    "repair_job": "upkeep",
    **{f"count_{table}": "counting" for table in TABLES},
}
"""Functions, and the part whose probes look at them."""
WHOSE = "coalesce(nullif(current_setting('role'), 'none'), session_user)"
OTHERS = {
    "current_user": "the role that was set, not that of a trigger",
    "session_user": "the role that was set",
    "current_setting('role')": "the user where no role was set",
}
"""Whom a guard could ask for instead of the client, and what it would leave out."""
TRUE_FUNCTION = "$body$\nBEGIN\n  RETURN {};\nEND $body$"


class Mutant(NamedTuple):
    """One thing less, done by these statements. `about` is the machine or part whose probes are tried first."""

    name: str
    about: str
    statements: tuple[str, ...]


def of_ddl() -> Iterator[Mutant]:
    """Every mutant of every statement."""
    for statement in ddl():
        created = CREATES.match(statement)
        kind = created.group(1) if created else statement.split()[0]
        if kind == "TABLE":
            yield from _of_table(statement)
        elif kind == "INDEX" and " UNIQUE " in statement[:20]:
            name = created.group(2) if created else ""
            on = ON.search(statement)
            yield Mutant(f"index {name}", TABLES[on.group(1)] if on else "", (f"DROP INDEX app.{name}",))
        elif kind == "TRIGGER":
            yield from _of_trigger(statement)
        elif kind == "FUNCTION":
            yield from _of_function(statement)
        elif kind == "VIEW":
            name = created.group(2).removeprefix("app.") if created else ""
            yield from (Mutant(f"view {name} without {left.out}", "views", (left.text,)) for left in of_view(statement))
        elif kind in {"GRANT", "REVOKE"}:
            yield from _of_privilege(statement)
    yield from _of_legal_rows()


def _of_table(statement: str) -> Iterator[Mutant]:
    create = parse(statement)
    table = create.this.this.name
    about = TABLES.get(table, "log" if table == JOB_EVENTS else "roles")
    keys = {one.name for key in create.find_all(exp.PrimaryKey) for one in key.expressions}
    for column in create.this.expressions:
        if isinstance(column, exp.ColumnDef):
            yield from _of_column(table, about, column, keys)
        elif isinstance(column, exp.Constraint):
            for one in column.expressions:
                yield from _of_constraint(table, about, column.name, one)


def _of_column(table: str, about: str, column: exp.ColumnDef, keys: set[str]) -> Iterator[Mutant]:
    for one in column.constraints:
        kind = one.kind
        if isinstance(kind, exp.NotNullColumnConstraint) and column.name not in keys:
            drop = f"ALTER TABLE app.{table} ALTER COLUMN {column.name} DROP NOT NULL"
            yield Mutant(f"{table}.{column.name} NOT NULL", about, (drop,))
        elif isinstance(kind, exp.CheckColumnConstraint):
            yield from _of_constraint(table, about, f"{table}_{column.name}_check", kind)


def _of_constraint(table: str, about: str, name: str, kind: exp.Expr) -> Iterator[Mutant]:
    drop = f"ALTER TABLE app.{table} DROP CONSTRAINT {name} CASCADE"
    if isinstance(kind, exp.CheckColumnConstraint) and about == "roles":
        about = "kept"
    yield Mutant(f"{table}: {name}", about, (drop,))
    if isinstance(kind, exp.CheckColumnConstraint):
        for left in taken_out(render(kind.this, pretty=False)):
            add = f"ALTER TABLE app.{table} ADD CONSTRAINT {name} CHECK ({left.text}) NOT VALID"
            yield Mutant(f"{table}: {name} without {left.out}", about, (drop, add))


def _of_trigger(statement: str) -> Iterator[Mutant]:
    name, on = statement.split("TRIGGER ")[1].split(maxsplit=1)[0], ON.search(statement)
    table = on.group(1) if on else ""
    about = TABLES.get(table, "log")
    moved = name.endswith(MOVED)
    if moved:
        about = f"{about} changes"
    yield Mutant(f"trigger {name}", about, (f"DROP TRIGGER {name} ON app.{table}",))
    for event in re.findall(r"\b(INSERT|UPDATE|DELETE) OR\b|\bOR (UPDATE|DELETE)\b", statement):
        word = "".join(event)
        less = re.sub(rf"\b{word} OR |\ OR {word}\b", " ", statement)
        yield Mutant(f"trigger {name} without {word}", about, (less,))
    fired = UPDATED.search(statement)
    if fired:
        yield from _of_fired(name, about, statement, fired)
    when = WHEN.search(statement)
    if when:
        every = f"{statement[: when.start(1)]}true{statement[when.end(1) :]}"
        yield Mutant(f"trigger {name} without its condition", about, (every,))
        yield from _of_compared_move(name, about, statement)
        parts = of_guard(TABLES[table], when.group(1)) if moved else taken_out(when.group(1))
        for left in parts:
            text = f"{statement[: when.start(1)]}{left.text}{statement[when.end(1) :]}"
            yield Mutant(f"trigger {name} without {left.out}", about, (text,))


def _of_fired(name: str, about: str, statement: str, fired: re.Match[str]) -> Iterator[Mutant]:
    """Of the columns on whose change a trigger fires, one less."""
    columns = fired.group(1).split(", ")
    for column in columns if len(columns) > 1 else ():
        left = ", ".join(one for one in columns if one != column)
        less = f"{statement[: fired.start(1)]}{left}{statement[fired.end(1) :]}"
        yield Mutant(f"trigger {name} on {column}", about, (less,))


def _of_compared_move(name: str, about: str, statement: str) -> Iterator[Mutant]:
    """A move compared with the declared ones in three of its four words."""
    if COMPARED not in statement:
        return
    words = COMPARED.split(" || ' ' || ")
    for at, word in enumerate(words):
        left = " || ' ' || ".join(one for one in words if one != word)
        less = EDGE.sub(lambda edge, at=at: _one_less(edge.group(1), at), statement.replace(COMPARED, left))  # type: ignore[misc]
        yield Mutant(f"trigger {name} without {word} in a move", about, (less,))


def _one_less(words: str, at: int) -> str:
    return '"' + " ".join(word for position, word in enumerate(words.split()) if position != at) + '"'


def _of_function(statement: str) -> Iterator[Mutant]:
    name = statement.split("FUNCTION app.")[1].split("(", maxsplit=1)[0]
    head, body, tail = statement.partition("$body$")[0], *statement.partition("$body$")[2].rpartition("$body$")[::2]
    machine = re.match(r"write_(\w+)_events", name)
    undeclared = name.removeprefix(UNDECLARED) if name.startswith(UNDECLARED) else ""
    about = f"{undeclared} changes" if undeclared else ABOUT.get(name, machine.group(1) if machine else "")
    if "RETURNS trigger" in head:
        returned = "NEW" if "RETURN NEW" in body or name.startswith("refuse") else "NULL"
        yield Mutant(f"function {name}", about, (f"{head}{TRUE_FUNCTION.format(returned)}",))
    for clause in ("SECURITY DEFINER", "SET search_path = pg_catalog, pg_temp"):
        if clause in head:
            whose = "roles" if machine else about
            yield Mutant(f"function {name} without {clause}", whose, (statement.replace(clause, "", 1),))
    for instead, out in OTHERS.items() if WHOSE in body else ():
        yield Mutant(f"function {name} without {out}", about, (statement.replace(WHOSE, instead),))
    for left in _of_rule(undeclared, body) if undeclared else (*conditions_out(body), *pieces_out(name, body)):
        yield Mutant(f"function {name} without {left.out}", about, (f"{head}$body${left.text}$body${tail}",))
    for found in () if undeclared else re.finditer(r"\bIN \('[^)]*\)", body):
        for left in taken_out(f"c {found.group()}"):
            mutated = f"{body[: found.start()]}{left.text[2:]}{body[found.end() :]}"
            line = body[: found.start()].count("\n")
            yield Mutant(
                f"function {name} without {left.out} in line {line}", about, (f"{head}$body${mutated}$body${tail}",)
            )


def _of_rule(machine: str, body: str) -> Iterator[Left]:
    """The body of the function that refuses undeclared changes, with one thing less in its rule."""
    head, rule, tail = re.split(r"(?<= IF )(.*)(?= THEN\n)", body, maxsplit=1, flags=re.DOTALL)
    yield from (Left(left.out, f"{head}{left.text}{tail}") for left in of_guard(machine, rule))


def _of_privilege(statement: str) -> Iterator[Mutant]:
    granted = re.fullmatch(r"(GRANT|REVOKE) (.+?) ON (FUNCTION |SCHEMA )?(.+) (TO|FROM) (\w+)", statement)
    assert granted, statement
    verb, privileges, kind, objects, _, role = granted.groups()
    if verb == "REVOKE":
        yield Mutant(statement, "roles", (f"GRANT {privileges} ON {kind or ''}{objects} TO {role}",))
        return
    things = [objects] if kind else objects.split(", ")
    for privilege in _each(privileges):
        for thing in things:
            less = f"REVOKE {privilege} ON {kind or ''}{thing} FROM {role}"
            about = "upkeep" if thing.startswith("app.forget") else "roles"
            yield Mutant(f"GRANT {privilege} ON {thing}", about, (less,))


def _each(privileges: str) -> list[str]:
    """Privileges one by one, also those that are granted on a list of columns."""
    found = re.findall(r"(\w+)(?: \(([^)]*)\))?(?:, |$)", privileges)
    return [
        f"{verb} ({column})" if column else verb
        for verb, columns in found
        for column in (columns.split(", ") if columns else [""])
    ]


def _of_legal_rows() -> Iterator[Mutant]:
    """The rows that make the text of an error, and the event of a move that was given none."""
    for record in SCHEMA.records:
        for edge in record.lifecycle.edges:
            trigger = edge.transition.trigger
            where = f"machine = '{record.machine}' AND trigger = '{trigger}' AND source = '{edge.source}'"
            delete = f"DELETE FROM app.legal_transitions WHERE {where}"  # noqa: S608 - test SQL
            yield Mutant(f"legal {record.machine}.{trigger} from {edge.source}", record.machine, (delete,))
