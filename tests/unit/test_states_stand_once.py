"""States, event types and triggers stand once, in the lifecycles: what any other place names is one of those."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.unit.names_used import unknown_in_python, unknown_in_sql

ROOT = Path(__file__).parents[2]
PACKAGES = ("statemachine", "sql_generator", "runtime", "diagrams")
SQL = sorted((ROOT / "runtime" / "sql").rglob("*.sql"))
GENERATED = sorted((ROOT / "tests" / "golden").glob("*.sql"))
PYTHON = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

OTHER_WORDS: Mapping[str, frozenset[str]] = {
    "diagrams/export.py": frozenset({"all"}),  # the option that asks for every lifecycle
    "diagrams/shape.py": frozenset({"callback"}),  # a node of a job's shape
    "runtime/cli/parameters.py": frozenset({"standard input"}),  # the place that parameters are read from
    "runtime/bus/servicebus/check.py": frozenset({"ok", "unknown"}),  # the status of a check of a broker
    "runtime/errors.py": frozenset({"is not installed"}),  # the state of an extra
    "runtime/flow/open_stage.py": frozenset({"parameter", "stage"}),  # the source of a fan-out
    "runtime/store/database.py": frozenset({"in progress", "committed"}),  # the status of a transaction
    "runtime/web/api/health.py": frozenset({"good", "bad", "unknown"}),  # the status of a health check
    "runtime/web/api/system.py": frozenset({"ok"}),  # the same, for probes
    "sql_generator/moves.py": frozenset({"VARCHAR"}),  # the type of the column
    "sql_generator/counters.py": frozenset({""}),  # no parent has to be in a state
    "statemachine/job.py": frozenset({"parameter"}),  # the source of a fan-out
}
"""Words beside which `status`, `state`, `source` or `target` means something else."""

MISSPELT_SQL = {
    "compared": "SELECT 1 FROM app.jobs WHERE status = 'procesing'",
    "compared the other way round": "SELECT 1 FROM app.jobs WHERE 'procesing' <> status",
    "listed": "SELECT 1 FROM app.tasks AS t WHERE t.status IN ('queued', 'procesing')",
    "listed as others": "SELECT 1 FROM app.tasks WHERE status NOT IN ('queued', 'procesing')",
    "in an array": "SELECT 1 FROM app.tasks WHERE status = ANY((SELECT ARRAY['procesing'])::varchar[])",
    "in an array in one literal": "SELECT 1 FROM app.tasks WHERE status = ANY(CAST('{queued,procesing}' AS TEXT[]))",
    "distinct": "SELECT 1 FROM app.jobs AS j WHERE j.status IS DISTINCT FROM 'complete'",
    "filtered": "SELECT count(*) FILTER (WHERE status = 'complete') FROM app.tasks",
    "a case": "SELECT CASE status WHEN 'complete' THEN 1 END FROM app.tasks",
    "a joined table": "SELECT 1 FROM app.jobs AS j JOIN app.stages AS s ON s.job_id = j.job_id AND s.status = 'open'",
    "in a subquery": "SELECT 1 FROM app.jobs AS j WHERE EXISTS (SELECT FROM app.stages AS s WHERE j.status = 'open')",
    "a state of another table": "SELECT 1 FROM app.jobs AS j JOIN app.stages AS s ON true WHERE s.status = 'queued'",
    "set": "UPDATE app.jobs SET status = 'canceled' WHERE job_id = 'x'",
    "updated from": "UPDATE app.jobs AS r SET due_at = NULL WHERE r.status = 'canceled'",
    "inserted": "INSERT INTO app.jobs (job_id, status) VALUES ('x', 'canceled')",
    "an event type": "SELECT 1 FROM app.job_events WHERE event_type = 'task_finished'",
    "event types": "SELECT 1 FROM app.job_events AS e WHERE e.event_type IN ('task_started', 'task_finished')",
    "an inserted event type": "INSERT INTO app.job_events (job_id, event_type) SELECT 'x', 'task_ended'",
    "an event status": "SELECT 1 FROM app.job_events WHERE event_status NOT IN ('failure', 'warn')",
    "a list of values": "SELECT s.status FROM (VALUES ('complete', 1)) AS s (status, number)",
    "a machine": "SELECT 'jobs' AS machine, status FROM app.jobs",
    "in a common table": "WITH k AS (SELECT status FROM app.tasks) SELECT 1 FROM k WHERE k.status = 'complete'",
}
MISSPELT_PYTHON = {
    "compared": "if job.status == 'complete': ...",
    "compared with a key": "if row['status'] != 'complete': ...",
    "compared the other way round": "if 'complete' == status: ...",
    "in a set": "if job.status in {'queued', 'procesing'}: ...",
    "a set of states": "OPEN = {'queued', 'procesing'}",
    "a frozen set": "ended = state in frozenset({'complete'})",
    "assigned": "status = 'complete'",
    "matched": "match job.status:\n    case 'complete': ...",
    "matched with others": "match status:\n    case 'failed' | 'canceled': ...",
    "given": "Transition(trigger='start', sources=('open',), target='processing')",
    "a subject": "Subject(key, 'procesing')",
    "a state of another machine": "machine_of(STAGE).fire(Subject(key, 'queued'), 'skip')",
    "a trigger": "machine.fire(subject, 'finish')",
    "a trigger of another machine": "machine_of(JOB).fire(subject, 'release')",
    "a trigger as a variable": "trigger = 'rescue' if lost else 'finish'",
    "one of two assigned": "trigger, error = 'finish', None",
    "a decision": "Decision('finish', values, data)",
    "a note": "Note(type='check_point', job_id=job_id, data={})",
    "a move's event as a note": "Note(type='task_completed', job_id=job_id, data={})",
    "event types": "TAKEN_BACK = ('task_released', 'task_cancelled', 'task_resqued')",
    "an event of a gap": "GapQuery(id='GAP-99', event='gap_seen')",
    "events that are looked for": "evidence.events_of('task_finished', task_id=task_id)",
    "an event in a mapping": "values = {'event_type': 'task_finished'}",
    "SQL": "text = \"SELECT 1 FROM app.jobs WHERE status = 'procesing'\"",
    "SQL in parts": "text = f\"{row}.status IN ('queued', 'procesing') AND true\"",
    "an event in SQL": "text = \" WHERE e.event_type <> 'task_finished'\"",
}


def words(path: Path) -> Iterator[str]:
    """What a module compares with a state and the like, and no lifecycle declares."""
    return (unknown.name for unknown in unknown_in_python(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [*SQL, *GENERATED], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_statement_names_only_what_is_declared_for_its_tables(path: Path) -> None:
    assert unknown_in_sql(path.read_text(encoding="utf-8")) == []


def test_the_modules_name_only_what_is_declared() -> None:
    unknown = {str(path.relative_to(ROOT)): frozenset(words(path)) for path in PYTHON}
    assert {path: names for path, names in unknown.items() if names} == OTHER_WORDS


@pytest.mark.parametrize("text", MISSPELT_SQL.values(), ids=MISSPELT_SQL)
def test_a_name_that_is_misspelt_in_sql_is_found(text: str) -> None:
    assert len(unknown_in_sql(text)) == 1


@pytest.mark.parametrize("text", MISSPELT_PYTHON.values(), ids=MISSPELT_PYTHON)
def test_a_name_that_is_misspelt_in_python_is_found(text: str) -> None:
    assert unknown_in_python(text)


def test_what_is_declared_is_no_finding() -> None:
    assert unknown_in_sql("SELECT 1 FROM app.stages AS s WHERE s.status IN ('pending', 'processing')") == []
    assert unknown_in_python("machine_of(TASK).fire(Subject(key, 'queued'), 'cancel')") == []
