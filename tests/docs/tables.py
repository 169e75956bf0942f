"""The tables in the documentation that follow from the code; `python -m tests.docs.tables` writes them."""

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from coremachine import AsyncCoreMachine
from coremachine.runtime.settings import Settings
from coremachine.runtime.store.transient import OF_A_STATEMENT, TRANSIENT
from coremachine.runtime.web import Access, create_site
from coremachine.sql_generator.moves import assignments
from coremachine.statemachine.changes import Change
from coremachine.statemachine.gaps import Gap
from coremachine.statemachine.lifecycle import Transition
from coremachine.statemachine.lifecycles import HEADLINES, LIFECYCLES, NOTES
from coremachine.statemachine.records import Record
from coremachine.statemachine.register import GAPS
from coremachine.statemachine.tables import SCHEMA
from tests.docs.pages import DOCS
from tests.docs.waits import all_waits

TABLE = "<!-- {0}: written by `python -m tests.docs.tables` -->\n\n{1}\n\n<!-- end -->"


def register() -> str:
    """The gap register: the moves that a check guards, or the query, constraint or code that it rests on."""
    head = ("id", "severity", "gap", "what happens now", "event", "enforced by")
    rows = ((gap.id, gap.severity, gap.gap, gap.response, f"`{gap.event}`", _enforced(gap)) for gap in GAPS)
    return table(head, rows)


def events() -> str:
    """Every event type: what writes it, its status, and whether the default timeline shows it."""
    written: dict[tuple[str, str], list[str]] = {}
    for lifecycle in LIFECYCLES:
        if lifecycle.created:
            created = lifecycle.created
            written[created.type, created.status] = [f"{lifecycle.name} created"]
        for transition in lifecycle.transitions:
            moves = written.setdefault((transition.event.type, transition.event.status), [])
            moves.append(f"{lifecycle.name}.{transition.trigger}")
    for note in NOTES:
        written.setdefault((note.type, note.status), []).append("note")
    rows = (
        (f"`{kind}`", ", ".join(by), status, "yes" if kind in HEADLINES or status == "warning" else "no")
        for (kind, status), by in written.items()
    )
    return table(("event", "written by", "status", "in the default timeline"), rows)


def settings() -> str:
    """Every setting: its field, its environment variable, its default and its meaning."""
    rows = (
        (f"`{name}`", f"`COREMACHINE_{name.upper()}`", _default(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    )
    return table(("field", "environment variable", "default", "meaning"), rows)


def waits() -> str:
    """Every wait, its bound, where that comes from, and what happens afterwards."""
    return table(("part", "wait", "at most", "from", "then"), (wait.row() for wait in all_waits()))


def temporary() -> str:
    """The SQLSTATEs after which the same statement may succeed later."""
    return _sqlstates(TRANSIENT)


def of_a_statement() -> str:
    """The SQLSTATEs of errors that no row has caused."""
    return _sqlstates(OF_A_STATEMENT)


def _sqlstates(meanings: Mapping[str, str]) -> str:
    rows = ((f"`{code}`" if len(code) == 5 else f"`{code}…`", meaning) for code, meaning in meanings.items())
    return table(("SQLSTATE", "meaning"), rows)


def routes() -> str:
    """Every route of the HTTP interface: method, path, who may call it, and its first line."""
    rows = (
        (f"`{method.upper()} {path}`", _who(method, path), _first_line(operation["description"]))
        for path, operations in create_site(AsyncCoreMachine(), Access()).openapi()["paths"].items()
        for method, operation in operations.items()
    )
    return table(("route", "who may", "what it does"), rows)


def names() -> str:
    """Every public name that the page on Python lists: its module, and the first line of its docstring."""
    rows = (
        (f"`{face}`", f"`{name}`", _first_line(getattr(importlib.import_module(face), name).__doc__ or ""))
        for face in SHOWN_FACES
        for name in importlib.import_module(face).__all__
    )
    return table(("module", "name", "what it is"), rows)


def changes() -> str:
    """Every change of a core row that is no move, and what it may do to each column."""
    rows = (
        (record.table, f"`{change.name}`", ", ".join(change.states), _columns(change), change.text)
        for record in SCHEMA.records
        for change in record.all_changes
    )
    return table(("table", "change", "states", "columns", "what happens"), rows)


def moves() -> str:
    """Every move of a core row, and the columns that it changes beside status and event."""
    rows = (
        (
            record.table,
            f"`{transition.trigger}`",
            ", ".join(transition.sources),
            transition.target,
            _moved(record, transition),
        )
        for record in SCHEMA.records
        for transition in record.lifecycle.transitions
    )
    return table(("table", "move", "from", "to", "columns"), rows)


def _columns(change: Change) -> str:
    return "; ".join(f"`{name}`: {one.text}" for name, one in change.columns.items())


def _moved(record: Record, transition: Transition) -> str:
    assigned = assignments(record, transition, "the time of the move", "given as {}")
    event = {"status", "move_number", "event_type", "event_status", "event_data"}
    values = {name: _in_words(name, value) for name, value in assigned.items() if name not in event}
    return "; ".join(f"`{name}`: {value}" for name, value in values.items())


def _in_words(name: str, value: str) -> str:
    plain = {"NULL": "empty", f"r.{name} + 1": "one more", f"given as {name}": "given"}
    return plain.get(value, value.replace("r.", "").replace("MAKE_INTERVAL(secs => ", "").rstrip(")"))


def _who(method: str, path: str) -> str:
    return "operator" if method == "post" else "everybody" if path in {"/healthz", "/readyz"} else "viewer"


def _first_line(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = (head, tuple("---" for _ in head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


SHOWN_FACES = (
    "coremachine",
    "coremachine.statemachine",
    "coremachine.diagrams",
    "coremachine.sql_generator",
    "coremachine.runtime.embedded",
    "coremachine.runtime.functions",
    "coremachine.runtime.web",
)
TABLES: dict[str, tuple[Path, Callable[[], str]]] = {
    "register": (DOCS / "explanation" / "gap-checks.md", register),
    "temporary": (DOCS / "reference" / "database-errors.md", temporary),
    "of_a_statement": (DOCS / "reference" / "database-errors.md", of_a_statement),
    "changes": (DOCS / "reference" / "changes.md", changes),
    "moves": (DOCS / "reference" / "changes.md", moves),
    "events": (DOCS / "explanation" / "events.md", events),
    "routes": (DOCS / "reference" / "http.md", routes),
    "settings": (DOCS / "reference" / "settings.md", settings),
    "waits": (DOCS / "reference" / "waits.md", waits),
    "names": (DOCS / "reference" / "python.md", names),
}


def current(name: str) -> str:
    """The page of a table as it should read."""
    page, make = TABLES[name]
    old = re.compile(TABLE.format(name, "").split(":", maxsplit=1)[0] + r":.*?<!-- end -->", re.DOTALL)
    return old.sub(lambda _: TABLE.format(name, make()), page.read_text(encoding="utf-8"))


def _enforced(gap: Gap) -> str:
    """Where a gap is closed: on moves, or by name."""
    moves = ", ".join(_guarded(gap.id))
    return f"a condition of {moves}" if moves else f"`{gap.enforced_by.rpartition(':')[2]}`"


def _guarded(gap_id: str) -> Iterable[str]:
    for lifecycle in LIFECYCLES:
        for transition in lifecycle.transitions:
            if any(gap.id == gap_id for gap in transition.gap_checks):
                yield f"{lifecycle.name}.{transition.trigger}"


def _default(value: object) -> str:
    written = str(value).lower() if isinstance(value, bool) else value
    return "none" if value is None else f"`{written}`"


if __name__ == "__main__":
    for one, (path, _) in TABLES.items():
        path.write_text(current(one), encoding="utf-8")
