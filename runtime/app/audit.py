"""The audit: checks live data for every gap of the register that can be seen there, one statement each."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from ...sql_generator.replay import replay_statements
from ...sql_generator.schema import digests, guard_names
from ...statemachine.errors import OperationError
from ...statemachine.gaps import Gap, Severity
from ...statemachine.lifecycles import GAP_FOUND
from ...statemachine.records import Schema
from ...statemachine.register import GAPS, GapConstraint, GapQuery, GapReplay
from ..settings import Settings
from ..store.database import PATIENCE_SECONDS, Database
from ..store.session import Note, Row, Session

EXAMPLES = 20
OVERDUE_S = 300.0
UNRESCUED_S = 60.0
UNSENT_S = 60.0
LATEST_DUE_S = 3_900.0
"""A message is sent again at most an hour after it was sent; a retry adds its back-off."""
ALIVE_S = 30.0
RECORDED: Collection[Severity] = ("critical", "high")
DRIFT = next(gap for gap in GAPS if isinstance(gap, GapQuery) and gap.query == "drifted_schema")
Checked = GapQuery | GapReplay | GapConstraint


class UnknownGapError(OperationError):
    """The audit has no check with this id. Carries `gap` and `known`."""

    def __init__(self, gap: str, known: tuple[str, ...]) -> None:
        self.gap = gap
        self.known = known
        super().__init__(f"the audit has no check {gap}; it has {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row with a gap. `job_id` is None if the row has no job, `since` if no time is known."""

    job_id: str | None
    subject: str
    detail: str
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A gap in live data: it has `count` rows; `examples` are at most 20 of them."""

    id: str
    severity: Severity
    gap: str
    count: int
    remedy: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The ids that were checked, and the findings, worst first. Findings of severity `info` need no action."""

    checked: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def trouble(self) -> Severity | None:
        """The worst severity found, except `info`; None if there is no such finding."""
        return next((finding.severity for finding in self.findings if finding.severity != "info"), None)


def checks(only: Collection[str] = ()) -> tuple[Checked, ...]:
    """The checks that the audit runs: all, or those with these ids. Raises UnknownGapError."""
    runnable = {gap.id: gap for gap in GAPS if isinstance(gap, Checked)}
    for wanted in only:
        if wanted not in runnable:
            raise UnknownGapError(wanted, tuple(runnable))
    return tuple(gap for gap in runnable.values() if not only or gap.id in only)


async def read_audit(database: Database, settings: Settings, only: Collection[str] = (), *, record: bool) -> Audit:
    """Run the checks. Each is a statement with a separate snapshot, and locks nothing.

    With `record` each job with a critical or high finding gets a gap_found event for it. Raises UnknownGapError, and
    LockTimeoutError if others hold a table for ten seconds.
    """
    wanted, given = checks(only), _given(database, settings)
    found: list[Finding] = []
    for gap in wanted:
        try:
            async with database.scanning(PATIENCE_SECONDS) as session:
                answers = await _answers(session, gap, given, database.records)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            answers = [[_failed(error)]]  # an unreadable row is a finding, and must not hide the others
        if any(answers):
            count = sum(rows[0]["found"] for rows in answers if rows)
            columns = [{name: row[name] for name in row if name != "found"} for rows in answers for row in rows]
            found.append(finding(gap, count, [Example(**row) for row in columns[:EXAMPLES]]))
    if record:
        await _record(database, list(_notes(found)))
    order: tuple[Severity, ...] = ("critical", "high", "medium", "info")
    found.sort(key=lambda one: order.index(one.severity))
    return Audit(checked=tuple(gap.id for gap in wanted), findings=tuple(found))


def finding(gap: Gap, count: int, examples: Iterable[Example]) -> Finding:
    """A finding of `gap`, with the texts of the register."""
    return Finding(
        id=gap.id, severity=gap.severity, gap=gap.gap, count=count, remedy=gap.remedy, examples=tuple(examples)
    )


def drifted(detail: str) -> Audit:
    """The audit of a schema that differs so much that no other check can run on it."""
    example = Example(job_id=None, subject="declaration", detail=detail, since=None)
    return Audit(checked=(DRIFT.id,), findings=(finding(DRIFT, 1, [example]),))


def alive_within(settings: Settings) -> float:
    """Seconds for which a worker counts as alive after a heartbeat."""
    return max(ALIVE_S, 5 * settings.reconcile)


async def _answers(session: Session, gap: Checked, given: Mapping[str, object], records: Schema) -> list[list[Row]]:
    if isinstance(gap, GapReplay):
        statements = replay_statements(records.records, session.schema)
        return [await session.statement(statement, {"examples": EXAMPLES}) for statement in statements]
    if isinstance(gap, GapConstraint):
        return [await session.fetch("audit/missing_constraint", {**given, "constraint": gap.constraint})]
    return [await session.fetch(f"audit/{gap.query}", given)]


def _failed(error: psycopg.Error) -> Row:
    detail = f"the check itself failed: {error.diag.message_primary or error}"
    return {"job_id": None, "subject": "this check", "detail": detail, "since": None, "found": 1}


def _given(database: Database, settings: Settings) -> dict[str, object]:
    """The parameters of the statements: limits in seconds, and the declaration of this program."""
    edges = [(record.machine, edge) for record in database.records.records for edge in record.lifecycle.edges]
    guards = guard_names(database.records)
    unrescued = max(UNRESCUED_S, 5 * settings.reconcile)
    return {
        "examples": EXAMPLES,
        "overdue": OVERDUE_S,
        "unrescued": unrescued,
        "overrun": unrescued + settings.overrun,
        "alive": alive_within(settings),
        "unsent": UNSENT_S,
        "latest_due": LATEST_DUE_S + settings.lease,
        "schema": database.schema,
        "guard_tables": [table for table, _ in guards],
        "guards": [guard for _, guard in guards],
        "digests": json.dumps(digests(database.records, database.schema)),
        "legal_machines": [machine for machine, _ in edges],
        "legal_triggers": [edge.transition.trigger for _, edge in edges],
        "legal_sources": [edge.source for _, edge in edges],
        "legal_targets": [edge.target for _, edge in edges],
        "legal_events": [edge.transition.event.type for _, edge in edges],
    }


async def _record(database: Database, notes: Sequence[Note]) -> None:
    async with database.transaction(PATIENCE_SECONDS) as session:
        rows = await session.fetch("relay/existing_jobs", {"job_ids": [note.job_id for note in notes]})
        there = {row["job_id"] for row in rows}
        await session.note(note for note in notes if note.job_id in there)


def _notes(found: Iterable[Finding]) -> Iterable[Note]:
    for one in found:
        if one.severity in RECORDED:
            for example in one.examples:
                if example.job_id is not None:
                    data = {"gap": f"{one.id}: {one.gap}", "subject": example.subject, "detail": example.detail}
                    yield Note(type=GAP_FOUND, job_id=example.job_id, data=data)
