"""The replay: for each event log one query that finds rows whose state is not what their events lead to.

An event type leads to one state, so a history is a chain: each event leaves the state that the one before it led to,
and the last leads to the row's. The log is read and sorted once for all records that share it, by a short key and
with nothing wide in it. The query takes no lock.
"""

from collections.abc import Sequence
from functools import cache

from ..statemachine.records import Record
from ..statemachine.tables import JOB_EVENTS
from .text import parse, quoted, render

REPLAY = """\
WITH arrivals AS (
  SELECT l.machine, i.initial, l.event_type, l.target, array_agg(l.source) AS sources
  FROM {schema}.legal_transitions AS l JOIN (VALUES {machines}) AS i(machine, initial) ON i.machine = l.machine
  GROUP BY l.machine, i.initial, l.event_type, l.target
), logged AS (
  SELECT CASE a.machine {subjects} END AS subject, a.machine, e.event_id, a.initial, a.target, a.sources
  FROM {schema}.{log} AS e JOIN arrivals AS a ON a.event_type = e.event_type
), chained AS (
  SELECT subject, machine, event_id, target, lead(event_id) OVER history IS NULL AS is_last,
         lag(target, 1, initial) OVER history <> ALL (sources) AS is_broken
  FROM logged WINDOW history AS (PARTITION BY subject, machine ORDER BY event_id)
), folded AS (
  SELECT subject, machine, count(*) AS moves, max(target) FILTER (WHERE is_last) AS status,
         min(event_id) AS first_event, min(event_id) FILTER (WHERE is_broken) AS broken
  FROM chained GROUP BY subject, machine
), records AS (
  {records}
), compared AS (
  SELECT COALESCE(r.name, f.machine || ' ' || f.subject) AS name, r.job_id, r.status,
         COALESCE(f.status, r.initial) AS replayed, r.move_number, COALESCE(f.moves, 0) AS moves, f.first_event,
         f.broken, r.created_at
  FROM records AS r FULL JOIN folded AS f ON f.subject = r.subject AND f.machine = r.machine
)
SELECT {job_id} AS job_id, c.name AS subject, c.created_at AS since, count(*) OVER () AS found,
       CASE WHEN c.status IS NULL THEN 'it has events but no row'
            WHEN NOT c.broken IS NULL THEN 'event ' || c.broken || ' does not leave the state that was reached'
            WHEN c.status <> c.replayed THEN 'it is ' || c.status || '; its events lead to ' || c.replayed
            ELSE 'it has moved ' || c.move_number || ' times; its events record ' || c.moves END AS detail
FROM compared AS c
WHERE NOT c.broken IS NULL OR c.status IS DISTINCT FROM c.replayed OR c.move_number <> c.moves
ORDER BY since, subject LIMIT %(examples)s
"""

RECORD = """\
SELECT {machine} AS machine, {initial} AS initial, {subject} AS subject, {name} AS name, {job_id} AS job_id, r.status,
       r.move_number, r.created_at
FROM {schema}.{table} AS r"""

JOB_OF_ROW_OR_EVENT = "COALESCE(c.job_id, (SELECT e.job_id FROM {schema}.{log} AS e WHERE e.event_id = c.first_event))"
NO_JOB = "CAST(NULL AS VARCHAR)"


@cache
def replay_statements(records: tuple[Record, ...], schema: str = "app") -> tuple[str, ...]:
    """The query of each log that `records` write.

    Its parameter is %(examples)s, the most rows to return. It returns `job_id` (NULL for a log of the user's own),
    `subject`, `since`, `found` (how many in all) and `detail`.
    """
    logs: dict[str, list[Record]] = {}
    for record in records:
        logs.setdefault(record.log.table, []).append(record)
    return tuple(_replay(log, sharing, schema) for log, sharing in logs.items())


def _replay(log: str, records: Sequence[Record], schema: str) -> str:
    initials = (f"({quoted(one.machine)}, {quoted(one.lifecycle.initial.name)})" for one in records)
    subjects = (f"WHEN {quoted(one.machine)} THEN {_joined('e', one.identified_by)}" for one in records)
    job_id = JOB_OF_ROW_OR_EVENT.format(schema=schema, log=log) if log == JOB_EVENTS else NO_JOB
    return render(
        parse(
            REPLAY.format(
                schema=schema,
                log=log,
                machines=", ".join(initials),
                subjects=" ".join(subjects),
                records=" UNION ALL ".join(_rows(record, schema) for record in records),
                job_id=job_id,
            )
        )
    )


def _rows(record: Record, schema: str) -> str:
    of_a_job = record.log.table == JOB_EVENTS
    within = tuple(column for column in record.identified_by if not (of_a_job and column == "job_id"))
    machine = quoted(record.machine)
    return RECORD.format(
        schema=schema,
        table=record.table,
        machine=machine,
        initial=quoted(record.lifecycle.initial.name),
        subject=_joined("r", record.identified_by),
        name=f"{machine} || ' ' || {_joined('r', within)}" if within else machine,
        job_id="r.job_id" if of_a_job else NO_JOB,
    )


def _joined(row: str, columns: Sequence[str]) -> str:
    """The columns as one text; a log may have lost one of them, and no event is passed over for that."""
    return " || ' ' || ".join(f"COALESCE(CAST({row}.{column} AS VARCHAR), '')" for column in columns)
