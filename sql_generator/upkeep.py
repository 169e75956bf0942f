"""Upkeep: the owner's functions, which delete what is out of date and repair what only manual changes can break."""

from collections.abc import Mapping

from ..statemachine.records import Record, Schema
from ..statemachine.tables import JOB_EVENTS, STAGES, TASKS
from .roles import worker_role
from .text import listed

FORGET = """\
CREATE OR REPLACE FUNCTION {schema}.forget() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  DELETE FROM {schema}.workers WHERE seen_at < {schema}.clock() - interval '1 day';
  DELETE FROM {schema}.dead_letters WHERE read_at < {schema}.clock() - interval '7 days';
  DELETE FROM {schema}.set_aside WHERE until < {schema}.clock() - interval '1 day';
END $body$"""
"""Deletes what is out of date: workers not seen for a day, old dead letters, items that are no longer set aside.

A worker may not delete directly: a role that may delete can lock the table, and so stop every other worker."""

RETIRE_JOBS = """\
CREATE OR REPLACE FUNCTION {schema}.retire_jobs(finished_before timestamptz, most int) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  retired varchar[];
BEGIN
  retired := ARRAY(
    SELECT j.job_id FROM {schema}.jobs AS j
    WHERE j.finished_at < finished_before AND j.status IN ({ended})
      AND NOT EXISTS (SELECT FROM {schema}.callbacks AS c
                      WHERE c.job_id = j.job_id AND c.status NOT IN ({callback_ended}))
    ORDER BY j.job_id LIMIT most FOR UPDATE SKIP LOCKED);
  PERFORM set_config('coremachine.retiring', 'on', true);
  DELETE FROM {schema}.{log} WHERE job_id = ANY(retired);
  DELETE FROM {schema}.callbacks WHERE job_id = ANY(retired);
  DELETE FROM {schema}.tasks WHERE stage_id IN
    (SELECT s.stage_id FROM {schema}.stages AS s WHERE s.job_id = ANY(retired));
  DELETE FROM {schema}.stages WHERE job_id = ANY(retired);
  DELETE FROM {schema}.jobs WHERE job_id = ANY(retired);
  PERFORM set_config('coremachine.retiring', '', true);
  RETURN cardinality(retired);
END $body$"""

REPAIR_JOB = """\
CREATE OR REPLACE FUNCTION {schema}.repair_job(broken varchar) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  repaired int := 0;
  orphan record;
  counted record;
BEGIN
  PERFORM FROM {schema}.jobs WHERE job_id = broken FOR NO KEY UPDATE;
  PERFORM FROM {schema}.stages WHERE job_id = broken ORDER BY stage_id FOR NO KEY UPDATE;
  FOR orphan IN
    SELECT t.task_id, t.stage, to_jsonb(t) AS was FROM {schema}.tasks AS t JOIN {schema}.stages AS s USING (stage_id)
    WHERE s.job_id = broken AND t.status NOT IN ({task_ended}) AND s.status NOT IN ({stage_under_way})
    ORDER BY t.task_id FOR UPDATE OF t
  LOOP
    PERFORM set_config('coremachine.retiring', 'on', true);
    DELETE FROM {schema}.{log} WHERE task_id = orphan.task_id;
    PERFORM set_config('coremachine.retiring', '', true);
    DELETE FROM {schema}.tasks WHERE task_id = orphan.task_id;
    PERFORM {schema}.write_notes(ARRAY[broken], ARRAY[NULL]::varchar[], ARRAY[orphan.stage], ARRAY[NULL]::int[],
      ARRAY[NULL]::int[], ARRAY['gap_found']::varchar[], ARRAY['warning']::varchar[],
      ARRAY[jsonb_build_object('gap', 'an orphaned task was removed', 'row', orphan.was)]);
    repaired := repaired + 1;
  END LOOP;
  UPDATE {schema}.jobs AS j SET stages_open = c.open, stages_completed = c.completed, tasks_total = c.tasks
  FROM (SELECT count(*) FILTER (WHERE s.status NOT IN ({stage_ended})) AS open,
               count(*) FILTER (WHERE s.status IN ({stage_completed})) AS completed,
               coalesce(sum(s.tasks_total), 0) AS tasks
        FROM {schema}.stages AS s WHERE s.job_id = broken) AS c
  WHERE j.job_id = broken AND j.status NOT IN ({job_ended})
    AND (j.stages_open, j.stages_completed, j.tasks_total) <> (c.open, c.completed, c.tasks);
  repaired := repaired + FOUND::int;
  FOR counted IN
    SELECT s.stage_id, count(t.task_id) AS total{counts}
    FROM {schema}.stages AS s LEFT JOIN {schema}.tasks AS t USING (stage_id)
    WHERE s.job_id = (SELECT j.job_id FROM {schema}.jobs AS j WHERE j.job_id = broken AND j.status NOT IN ({job_ended}))
      AND s.status NOT IN ({stage_ended}) GROUP BY s.stage_id ORDER BY s.stage_id
  LOOP
    UPDATE {schema}.stages AS s SET tasks_total = counted.total{sets}
    WHERE s.stage_id = counted.stage_id AND (s.tasks_total{columns}) <> (counted.total{values});
    repaired := repaired + FOUND::int;
  END LOOP;
  RETURN repaired;
END $body$"""
"""Removes open tasks of stages that are not open, and recounts jobs and stages that have not ended.

The guards prevent both; if they were disabled, nothing else helps, because no move fits such rows. A note of the job
keeps the removed row. The job is recounted from its stages before the stages are recounted: as each stage changes,
the trigger changes the job by the difference, which must not lead below zero."""


def counts_of(record: Record) -> Mapping[str, tuple[str, ...]]:
    """What is counted of a record in the rows of its parent."""
    return record.parent.counts if record.parent is not None else {}


def upkeep(records: Schema, schema: str) -> list[str]:
    """The functions, and their privileges: workers may call only the one that deletes by age."""
    ended = {record.machine: listed(record.ends) for record in records.records}
    names = {"schema": schema, "log": JOB_EVENTS}
    counted = {column: states for column, states in counts_of(TASKS).items() if states}
    return [
        FORGET.format(schema=schema),
        RETIRE_JOBS.format(**names, ended=ended["job"], callback_ended=ended["callback"]),
        REPAIR_JOB.format(
            **names,
            task_ended=ended["task"],
            stage_ended=ended["stage"],
            job_ended=ended["job"],
            stage_under_way=listed(
                tuple(state.name for state in STAGES.lifecycle.states if not (state.initial or state.terminal))
            ),
            stage_completed=listed(counts_of(STAGES)["stages_completed"]),
            counts="".join(
                f", count(*) FILTER (WHERE t.status IN ({listed(states)})) AS {column}"
                for column, states in counted.items()
            ),
            sets="".join(f", {column} = counted.{column}" for column in counted),
            columns="".join(f", s.{column}" for column in counted),
            values="".join(f", counted.{column}" for column in counted),
        ),
        f"REVOKE ALL ON FUNCTION {schema}.forget() FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {schema}.forget() TO {worker_role(schema)}",
        f"REVOKE ALL ON FUNCTION {schema}.retire_jobs(timestamptz, int) FROM PUBLIC",
        f"REVOKE ALL ON FUNCTION {schema}.repair_job(varchar) FROM PUBLIC",
    ]
