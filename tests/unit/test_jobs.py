"""A job's shape is a value; a shape that cannot run is refused where it is declared, by job and stage."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from coremachine.statemachine.context import TaskContext
from coremachine.statemachine.errors import DefinitionError
from coremachine.statemachine.job import Job
from coremachine.statemachine.retry import Backoff
from coremachine.statemachine.stage import FanOut, Stage
from coremachine.statemachine.task import Task, task


@task
def plan(size: int = 256) -> list[int]:
    return list(range(size))


@task(retries=3, timeout=600, max_rescues=1, backoff=Backoff(first=2, factor=3, most=60, jitter=0))
def shade(window: int, raster: str) -> int:
    return window + len(raster)


@task
def join(tiles: list[int]) -> int:
    return sum(tiles)


@task
def nothing() -> None:
    """Takes nothing, and gives nothing."""


PLAN, SHADE, JOIN = Stage("plan", plan), Stage("shade", shade, each="plan"), Stage("join", join, gather="shade")


def refused(words: str) -> "pytest.RaisesExc[DefinitionError]":
    return pytest.raises(DefinitionError, match=re.escape(words))


def test_a_job_is_a_value_that_knows_its_shape() -> None:
    job = Job("relief", [PLAN, SHADE, JOIN])
    assert repr(job) == "<job relief: plan → shade → join>"
    assert [stage.kind for stage in job.stages] == ["single", "each", "gather"]
    assert job.tasks == {"plan": plan, "shade": shade, "join": join}
    assert job.stage("shade") is SHADE
    with pytest.raises(KeyError):
        job.stage("paint")


def test_a_job_takes_what_its_handlers_take_by_name() -> None:
    job = Job("relief", [PLAN, SHADE, JOIN])
    assert job.check_parameters({"raster": "dem.npz"}) == {"size": 256, "raster": "dem.npz"}


def test_a_stages_definition_says_how_its_tasks_are_run() -> None:
    assert Job("relief", [PLAN, SHADE, JOIN]).stage_definition(SHADE) == {
        "kind": "each",
        "source": {"stage": "plan"},
        "at_least": 0,
        "policy": "fail_fast",
        "max_attempts": 4,
        "max_rescues": 1,
        "timeout": 600,
        "backoff": [2, 3, 60, 0],
    }


def test_a_jobs_definition_says_what_happens_at_its_end() -> None:
    def finish(result: int) -> int:
        return result

    job = Job("relief", [PLAN], finalize=finish, finalize_required=True, callback_retries=2)
    assert job.definition() == {
        "finalize": True,
        "finalize_required": True,
        "on_job_complete": False,
        "callback_attempts": 3,
    }


def test_a_stage_fans_out_over_a_stage_a_parameter_or_a_function() -> None:
    def halves(size: int = 256) -> list[int]:
        return [size // 2, size - size // 2]

    ways: list[str | FanOut] = ["plan", "windows", halves]
    jobs = [Job("relief", [PLAN, Stage("shade", shade, each=each)]) for each in ways]
    assert [job.source_of(job.stage("shade")) for job in jobs] == [
        {"stage": "plan"},
        {"parameter": "windows"},
        {"function": halves.__qualname__},
    ]
    over_parameter = Job("relief", [PLAN, Stage("shade", shade, each="windows")])
    assert over_parameter.check_parameters({"windows": [1], "raster": "r"})["windows"] == [1]


def test_a_task_without_input_is_not_fed_one() -> None:
    with refused("stage b: the stage passes an input to its handler, but the handler takes none"):
        Job("relief", [PLAN, Stage("b", nothing, takes="plan")])


@pytest.mark.parametrize("name", ["Relief", "re lief", "", "1st"])
def test_names_of_jobs_and_stages_need_no_quotes(name: str) -> None:
    with refused(f"job {name!r}: use lower-case letters"):
        Job(name, [PLAN])
    with refused(f"stage {name!r}: use lower-case letters"):
        Stage(name, plan)


def test_a_job_has_stages_each_with_a_name_of_its_own() -> None:
    with refused("job relief has no stages"):
        Job("relief", [])
    with refused("job relief: stage plan is declared twice"):
        Job("relief", [PLAN, Stage("plan", nothing)])


def test_a_stage_runs_a_task_and_not_a_bare_function() -> None:
    def bare() -> None: ...

    function: Any = bare
    with refused("is not a task; decorate the function with @task"):
        Stage("plan", function)


def test_a_stage_has_one_source() -> None:
    with refused("stage b: declare only one of each, gather and takes"):
        Stage("b", join, each="plan", gather="plan")


def test_only_a_fan_out_counts_its_tasks() -> None:
    with refused("stage b: at_least counts the tasks of a fan-out (each=…)"):
        Stage("b", join, at_least=1)
    assert Stage("b", join, each="plan", at_least=1).at_least == 1


def test_a_policy_is_one_of_two() -> None:
    policy: Any = "hope"
    with refused("stage b: policy is fail_fast or finish_siblings, not 'hope'"):
        Stage("b", join, policy=policy)


@pytest.mark.parametrize("how", ["each", "gather", "takes"])
def test_a_source_is_an_earlier_stage(how: str) -> None:
    later: dict[str, Any] = {how: "join"}
    with refused("job relief, stage shade: 'join' is not an earlier stage; earlier stages: plan"):
        Job("relief", [PLAN, Stage("shade", shade, **later), Stage("join", nothing)])


@pytest.mark.parametrize("how", ["gather", "takes"])
def test_a_source_that_is_no_stage_is_named(how: str) -> None:
    unknown: dict[str, Any] = {how: "paint"}
    with refused("job relief, stage shade: 'paint' is not an earlier stage; earlier stages: plan"):
        Job("relief", [PLAN, Stage("shade", shade, **unknown)])


def test_a_source_that_could_be_no_parameter_is_named() -> None:
    with refused("job relief, stage shade: 'no name' is neither an earlier stage nor a parameter"):
        Job("relief", [PLAN, Stage("shade", shade, each="no name")])


def test_the_results_of_many_tasks_are_gathered() -> None:
    with refused("job relief, stage b: shade has many tasks; use gather='shade'"):
        Job("relief", [PLAN, SHADE, Stage("b", join, takes="shade")])


def test_two_tasks_do_not_share_a_name() -> None:
    @task(name="plan")
    def another() -> None: ...

    with refused("job relief: two different tasks are called plan"):
        Job("relief", [PLAN, Stage("b", another)])


def test_two_handlers_mean_the_same_by_one_name() -> None:
    @task
    def scale(size: float) -> float:
        return size

    with refused("relief: parameter size is <class 'int'> = 256 in plan, but <class 'float'> = required in scale"):
        Job("relief", [PLAN, Stage("b", scale)])


def test_a_model_of_the_users_own_has_what_the_handlers_take() -> None:
    class Wanted(BaseModel):
        raster: str

    with refused("job relief: plan takes size, which Wanted does not have"):
        Job("relief", [PLAN, SHADE], params=Wanted)


def test_calling_a_task_calls_the_function() -> None:
    assert shade(3, raster="dem") == 6
    assert (plan.name, repr(plan), plan.options.retries) == ("plan", "<task plan>", 0)


def test_where_a_task_runs_follows_from_its_declaration() -> None:
    @task
    async def on_the_loop() -> None: ...

    @task(process=True)
    def in_a_child() -> None: ...

    ran: list[Task[..., Any]] = [plan, on_the_loop, in_a_child]
    assert [one.options.isolation for one in ran] == ["thread", "loop", "process"]


def test_options_that_make_no_sense_are_refused() -> None:
    with refused("retries and max_rescues count from 0, not -1 and 3"):
        task(retries=-1)(plan.function)
    with refused("retries and max_rescues count from 0, not 0 and -1"):
        task(max_rescues=-1)(plan.function)
    with refused("a timeout is a positive number of seconds, not 0"):
        task(timeout=0)(plan.function)


def test_an_async_function_has_no_process_of_its_own() -> None:
    async def run() -> None: ...

    with refused("run: an async function cannot run in a child process"):
        task(process=True)(run)


def test_a_signature_that_no_job_could_call_is_refused() -> None:
    def many(*sizes: int) -> None: ...

    def loose(**sizes: int) -> None: ...

    def nameless(size: int, /) -> None: ...

    wrong: list[tuple[Callable[..., None], str]] = [
        (many, "*sizes: int"),
        (loose, "**sizes: int"),
        (nameless, "size: int"),
    ]
    for function, parameter in wrong:
        with refused(f"parameter {parameter} has no name that a job parameter could have"):
            task(function)


def test_a_type_that_cannot_be_read_from_json_is_refused() -> None:
    class Raster:
        """Nothing that pydantic knows."""

    def draw(raster: Raster) -> None: ...

    draw.__annotations__["raster"] = Raster
    with refused("which cannot be read from JSON"):
        task(draw)


def test_a_context_is_no_parameter() -> None:
    @task
    def watched(context: TaskContext, size: int) -> int:
        return size if context.cancelled else 0

    assert Job("relief", [Stage("a", watched)]).check_parameters({"size": 1}) == {"size": 1}
    assert watched.signature.context == "context"
