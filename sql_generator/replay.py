"""The replay of an application's record: finds rows whose state is not the one that the events in their log lead to.

For CoreMachine's records, one hand-written query reads the log that they share. Each application record has its
own table, key and log, all known from the declaration.
"""

from functools import cache

from ..statemachine.records import Record
from .text import parse, render

REPLAY = """\
WITH arrivals AS (
  SELECT l.event_type, l.target, array_agg(l.source) AS sources
  FROM {schema}.legal_transitions AS l WHERE l.machine = '{machine}' GROUP BY l.event_type, l.target
), chained AS (
  SELECT e.{key} AS subject, e.event_id, a.target, lead(e.event_id) OVER history IS NULL AS is_last,
         lag(a.target, 1, '{initial}') OVER history <> ALL (a.sources) AS is_broken
  FROM {schema}.{log} AS e JOIN arrivals AS a ON a.event_type = e.event_type
  WINDOW history AS (PARTITION BY e.{key} ORDER BY e.event_id)
), folded AS (
  SELECT subject, count(*) AS moves, max(target) FILTER (WHERE is_last) AS status,
         min(event_id) FILTER (WHERE is_broken) AS broken
  FROM chained GROUP BY subject
), compared AS (
  SELECT COALESCE(r.{key}, f.subject) AS subject, r.status, COALESCE(f.status, '{initial}') AS replayed,
         r.move_number, COALESCE(f.moves, 0) AS moves, f.broken, r.created_at
  FROM {schema}.{table} AS r FULL JOIN folded AS f ON f.subject = r.{key}
)
SELECT CAST(NULL AS VARCHAR) AS job_id, '{machine} ' || c.subject AS subject, c.created_at AS since,
       count(*) OVER () AS found,
       CASE WHEN c.status IS NULL THEN 'it has events but no row'
            WHEN NOT c.broken IS NULL THEN 'event ' || c.broken || ' does not leave the state that was reached'
            WHEN c.status <> c.replayed THEN 'it is ' || c.status || '; its events lead to ' || c.replayed
            ELSE 'it has moved ' || c.move_number || ' times; its events record ' || c.moves END AS detail
FROM compared AS c
WHERE NOT c.broken IS NULL OR c.status IS DISTINCT FROM c.replayed OR c.move_number <> c.moves
ORDER BY since, c.subject LIMIT %(examples)s
"""


@cache
def replay_statement(record: Record, schema: str = "app") -> str:
    """The query that finds them: `job_id` (NULL), `subject`, `since`, `found` (the total) and `detail`."""
    return render(
        parse(
            REPLAY.format(
                schema=schema,
                machine=record.machine,
                table=record.table,
                key=record.key.name,
                log=record.log.table,
                initial=record.lifecycle.initial.name,
            )
        )
    )
