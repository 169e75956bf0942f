"""What the functions of upkeep must keep to: what is out of date goes, what only hands can have broken is repaired."""
# ruff: noqa: S608 - test SQL

from collections.abc import Iterable, Iterator, Mapping
from itertools import permutations

from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.tables import ENDED, JOBS, OPEN, STAGES, TASKS
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.probes import restored, update
from tests.mutants.rules_of_counting import COUNTED
from tests.mutants.rules_of_the_log import HOSTILE, KEPT, READER

ROLE = worker_role("app")
KEPT_FOR: Mapping[str, tuple[str, str]] = {
    "workers": ("seen_at", "1 day"),
    "dead_letters": ("read_at", "7 days"),
    "set_aside": ("until", "1 day"),
}
AGAIN = "SET LOCAL session_replication_role = origin; "
HERE = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
COUNTERS = ("tasks_open", "tasks_completed", "tasks_failed", "tasks_cancelled")
BOTH = f"{COUNTED} AND (SELECT n = 2 FROM answer)"
ONE = f"{COUNTED} AND (SELECT n = 1 FROM answer)"
NOTHING = "(SELECT n = 0 FROM answer)"


def of_upkeep(fixture: FixtureRows) -> Iterator[Probe]:
    """Every rule of the functions of upkeep, but for those of retiring."""
    yield from _of_forgetting()
    yield from _of_orphans(fixture)
    yield from _of_jobs(fixture)
    for state in TASKS.lifecycle.by_name:
        yield from _of_stage(f"(SELECT stage_id FROM app.tasks WHERE task_id = '{fixture.key(TASKS, state)}')", state)
    yield from _of_closed_stages(fixture)
    yield from _of_locks(fixture)


def _of_forgetting() -> Iterator[Probe]:
    """What is older than it is kept goes, and nothing younger; a worker may call for it."""
    for table, (column, age) in KEPT_FOR.items():
        columns = {**KEPT[table], column: f"app.clock() - interval '{age}'"}
        for step, left in (("- interval '1 minute'", 0), ("+ interval '1 minute'", 1)):
            made = f"INSERT INTO app.{table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())}); "
            made += f"UPDATE app.{table} SET {column} = {column} {step}; "
            for way in ("", HERE):
                sql = f"{made}{way}SET LOCAL ROLE {ROLE}; SELECT app.forget()"
                yield Probe(f"{table} {step} is forgotten {way}", sql, f"(SELECT count(*) = {left} FROM app.{table})")
    yield Probe("a reader forgets", "SELECT app.forget()", refused=True, words="permission denied", role=READER)


def repaired(job: str, broken: str, way: str = "") -> str:
    """Have a job repaired that was broken, and what was returned kept in a table `answer`."""
    return f"{restored(broken)}{AGAIN}{way}CREATE TEMP TABLE answer AS SELECT app.repair_job({job}) AS n"


def _job_of(stage: str) -> str:
    return f"(SELECT job_id FROM app.stages WHERE stage_id = {stage})"


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(map(repr, keys))


def _of_orphans(fixture: FixtureRows) -> Iterator[Probe]:
    """An open task of a closed stage goes with its events, and is kept in a note; all others stay."""
    stage = fixture.key(STAGES, "processing")
    job, tasks = _job_of(stage), {state: fixture.keys["task", state][1] for state in TASKS.lifecycle.by_name}
    gathered = f"UPDATE app.job_events SET job_id = {job} WHERE task_id IN ({_listed(tasks.values())}); "
    for at, task in enumerate(tasks.values()):
        gathered += f"UPDATE app.tasks SET stage_id = {stage}, task_index = {at} WHERE task_id = '{task}'; "
    others = [fixture.key(TASKS, state) for state in tasks] + [tasks[state] for state in ENDED]
    all_there = f"(SELECT count(*) = {len(others)} FROM app.tasks WHERE task_id IN ({_listed(others)}))"
    found = f"WHERE task_id IN ({_listed(tasks[state] for state in OPEN)}))"
    gone = f"NOT EXISTS (SELECT FROM app.tasks {found} AND NOT EXISTS (SELECT FROM app.job_events {found}"
    noted = (
        "(SELECT count(*) = 2 AND count(DISTINCT event_data -> 'row' ->> 'task_id') = 2 FROM app.job_events"
        f" WHERE transaction_id = pg_current_xact_id() AND event_type = 'gap_found' AND job_id = {job})"
    )
    still = f"{all_there} AND (SELECT count(*) = {len(OPEN)} FROM app.tasks {found}"
    for state in ("processing", *ENDED):
        changes = {
            "status": f"'{state}'",
            "finished_at": "now()" if state in ENDED else "NULL",
            "error": "'{}'" if state == "failed" else "NULL",
        }
        broken = f"{gathered}{update(STAGES, stage, changes)}; "
        name = f"orphans of a {state} stage"
        if state not in ENDED:
            yield Probe(f"{name} are none", repaired(job, broken), still)
            continue
        for way in ("", HERE):
            holds = f"{all_there} AND {gone} AND {noted} AND (SELECT n >= 2 FROM answer)"
            yield Probe(f"{name} are removed {way}", repaired(job, broken, way), holds)
        after = f"{repaired(job, broken)}; DELETE FROM app.job_events"
        yield Probe(f"{name} are removed, and no other event", after, refused=True, words="events are never changed")
        yield Probe(f"{name} of another job", repaired(f"'{fixture.key(JOBS, 'queued')}'", broken), still)


def _of_jobs(fixture: FixtureRows) -> Iterator[Probe]:
    """Each counter of an open job is put right, and one that has ended stays as it ended."""
    for state in OPEN:
        job, other = (f"'{key}'" for key in fixture.keys["job", state][:2])
        for column in ("stages_open", "stages_completed", "tasks_total"):
            broken = f"UPDATE app.jobs SET stage_count = 9, {column} = {column} + 1 WHERE job_id = {job}; "
            yield Probe(f"{column} of a {state} job", repaired(job, broken), ONE)
            yield Probe(f"{column} of another {state} job", repaired(other, broken), f"NOT ({COUNTED}) AND {NOTHING}")
    for state in ENDED:
        job = f"'{fixture.key(JOBS, state)}'"
        broken = f"UPDATE app.jobs SET tasks_total = 3 WHERE job_id = {job}; "
        yield Probe(f"a {state} job stays as it ended", repaired(job, broken), NOTHING)
        stage = f"(SELECT min(stage_id) FROM app.stages WHERE job_id = {_job_of(fixture.key(STAGES, 'pending'))})"
        broken = f"UPDATE app.stages SET job_id = {job}, tasks_total = 3, tasks_failed = 3 WHERE stage_id = {stage}; "
        broken = broken.replace("SET ", "SET stage = 5, name = 'fifth', ")
        yield Probe(f"an open stage of a {state} job stays", repaired(job, broken), NOTHING)


def _of_stage(stage: str, state: str) -> Iterator[Probe]:
    """Each counter of an open stage is put right, whichever it was that counted instead."""
    job = _job_of(stage)
    for column, other in permutations(COUNTERS, 2):
        sets = f"{column} = {column} + tasks_total, {other} = {other} + 1, tasks_total = 2 * tasks_total + 1"
        broken = f"UPDATE app.stages SET {sets} WHERE stage_id = {stage}; "
        yield Probe(f"{column} and {other} over {state} tasks", repaired(job, broken), BOTH)
        sets = f"{column} = {column} + 1, {other} = {other} - 1"
        broken = f"UPDATE app.stages SET {sets} WHERE stage_id = {stage} AND {other} > 0; "
        yield Probe(f"{column} for {other} over {state} tasks", repaired(job, broken), COUNTED)
    sets = ", ".join(f"{column} = 0" for column in (*COUNTERS, "tasks_total"))
    none = f"UPDATE app.stages SET {sets} WHERE stage_id = {stage}; "
    yield Probe(f"nothing counted over {state} tasks", repaired(job, none), BOTH)
    yield Probe(f"all right over {state} tasks", repaired(job, ""), f"{COUNTED} AND {NOTHING}")


def _of_closed_stages(fixture: FixtureRows) -> Iterator[Probe]:
    """What a closed stage ended with stays; one that is open counts what there is, also where that is nothing."""
    for state in STAGES.lifecycle.by_name:
        stage, counter = fixture.key(STAGES, state), "tasks_completed" if state == "completed" else "tasks_cancelled"
        broken = f"UPDATE app.stages SET tasks_total = 3, {counter} = 3 WHERE stage_id = {stage}; "
        broken += f"UPDATE app.jobs SET tasks_total = 3 WHERE job_id = {_job_of(stage)}; "
        left = 3 if state in ENDED else 0
        holds = f"(SELECT tasks_total = {left} FROM app.stages WHERE stage_id = {stage})"
        yield Probe(f"a {state} stage, and what it counts", repaired(_job_of(stage), broken), holds)
        yield Probe(f"all right with a {state} stage", repaired(_job_of(stage), ""), f"{COUNTED} AND {NOTHING}")


def _of_locks(fixture: FixtureRows) -> Iterator[Probe]:
    """The job and its stages are locked, even where nothing is wrong with them, and no others."""
    job = _job_of(fixture.key(STAGES, "processing"))
    for table in ("jobs", "stages"):
        seen = f"SELECT ctid AS place, xmax::text AS held, job_id = {job} AS mine FROM app.{table}"
        held = "(r.xmax::text <> s.held) = s.mine"
        holds = f"(SELECT bool_and({held}) FROM app.{table} AS r JOIN seen AS s ON s.place = r.ctid)"
        sql = f"CREATE TEMP TABLE seen AS {seen}; SELECT app.repair_job({job})"
        yield Probe(f"a repair locks {table}", sql, holds)
