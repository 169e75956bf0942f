"""`Job`: the shape of a pipeline, as a value that is checked when it is created."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from .checks import check_name
from .errors import DefinitionError
from .parameters import checked_parameters, parameters_model
from .retry import Backoff
from .signature import Parameter, Signature, signature_of
from .stage import Stage
from .task import Task

LONGEST_DEADLINE = 100 * 366 * 86_400
CALLBACK_GIVEN = frozenset({"job_id", "result", "records"})
"""What `on_job_complete` may take besides job parameters: the job's id and result, and the application's records."""


class Job:
    """A pipeline: its stages in order, and what runs at its end. A value: it needs no database.

        process_raster = Job("process_raster_v2", [
            Stage("plan", plan_windows),
            Stage("hillshade", hillshade, each="plan"),
            Stage("mosaic", mosaic, gather="hillshade"),
        ])

    `finalize` runs after the last stage and turns the last stage's output into the job's result; if it fails, the
    job completes with a warning, unless `finalize_required`. `on_job_complete` runs after the job has completed, at
    least once, and takes by name `job_id`, `result`, job parameters, and `records` (to create and move your
    application's records; the callback is then async). `deadline` is in seconds from submission: a job that has not
    ended by then fails; resuming it sets a new one. `params` is a pydantic model that replaces the one made from the
    handlers' signatures.

    Raises DefinitionError, naming job and stage, for a shape that cannot run.
    """

    def __init__(  # noqa: PLR0913 - each part of a job's shape is a separate parameter
        self,
        name: str,
        stages: Sequence[Stage],
        *,
        params: type[BaseModel] | None = None,
        deadline: float | None = None,
        finalize: Callable[..., object] | None = None,
        finalize_required: bool = False,
        on_job_complete: Callable[..., object] | None = None,
        callback_retries: int = 5,
        callback_backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.stages = tuple(stages)
        self.deadline = checked_deadline(deadline)
        self.finalize = finalize
        self.finalize_required = finalize_required
        self.on_job_complete = on_job_complete
        self.callback_retries = callback_retries
        self.callback_backoff = callback_backoff or Backoff()
        self._check()
        self.parameters = params or parameters_model(name, self._wanted())
        if params is not None:
            self._check_model(params)

    def __repr__(self) -> str:
        return f"<job {self.name}: {' → '.join(stage.name for stage in self.stages)}>"

    def check_parameters(self, given: Mapping[str, object]) -> dict[str, object]:
        """`given` as JSON values with defaults filled in. Raises ParameterError naming every problem."""
        return checked_parameters(self.name, self.parameters, given)

    def stage(self, name: str) -> Stage:
        """The stage called `name`. Raises KeyError."""
        return {stage.name: stage for stage in self.stages}[name]

    @cached_property
    def callback_signature(self) -> Signature | None:
        """What `on_job_complete` takes, if the job has one."""
        return None if self.on_job_complete is None else signature_of(self.on_job_complete, CALLBACK_GIVEN)

    @property
    def tasks(self) -> dict[str, Task[..., Any]]:
        """The tasks of the job, keyed by task type."""
        return {stage.task.name: stage.task for stage in self.stages}

    def definition(self) -> dict[str, object]:
        """Stored with each submission: the options that must not change under a running job."""
        return {
            "finalize": self.finalize is not None,
            "finalize_required": self.finalize_required,
            "on_job_complete": self.on_job_complete is not None,
            "callback_attempts": self.callback_retries + 1,
        }

    def stage_definition(self, stage: Stage) -> dict[str, object]:
        """Stored with a stage: where its input comes from, and how its tasks are run."""
        options, backoff = stage.task.options, stage.task.options.backoff
        return {
            "kind": stage.kind,
            "source": self.source_of(stage),
            "at_least": stage.at_least,
            "policy": stage.policy,
            "max_attempts": options.retries + 1,
            "max_rescues": options.max_rescues,
            "timeout": options.timeout,
            "backoff": [backoff.first, backoff.factor, backoff.most, backoff.jitter],
        }

    def source_of(self, stage: Stage) -> dict[str, str] | None:
        """Where the stage's input comes from: an earlier stage, a parameter or a function, by name."""
        if callable(stage.each):
            return {"function": getattr(stage.each, "__qualname__", repr(stage.each))}
        named = stage.each or stage.gather or stage.takes
        if named is None:
            return None
        return {"stage": named} if any(one.name == named for one in self.stages) else {"parameter": named}

    def _check(self) -> None:
        check_name("job", self.name)
        if not self.stages:
            raise DefinitionError(f"job {self.name} has no stages")
        names = [stage.name for stage in self.stages]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise DefinitionError(f"job {self.name}: stage {', '.join(sorted(twice))} is declared twice")
        for position, stage in enumerate(self.stages):
            self._check_source(stage, {one.name: one for one in self.stages[:position]})
        for stage in self.stages:
            if self.tasks[stage.task.name] is not stage.task:
                raise DefinitionError(f"job {self.name}: two different tasks are called {stage.task.name}")

    def _check_source(self, stage: Stage, earlier: Mapping[str, Stage]) -> None:
        where = f"job {self.name}, stage {stage.name}"
        known = ", ".join(earlier) or "none"
        if (name := stage.gather or stage.takes) is not None and name not in earlier:
            raise DefinitionError(f"{where}: {name!r} is not an earlier stage; earlier stages: {known}")
        if stage.takes is not None and earlier[stage.takes].kind == "each":
            raise DefinitionError(f"{where}: {stage.takes} has many tasks; use gather={stage.takes!r}")
        if isinstance(stage.each, str) and stage.each not in earlier:
            if stage.each in {one.name for one in self.stages}:
                raise DefinitionError(f"{where}: {stage.each!r} is not an earlier stage; earlier stages: {known}")
            if not stage.each.isidentifier():
                raise DefinitionError(f"{where}: {stage.each!r} is neither an earlier stage nor a parameter")

    def _wanted(self) -> Iterator[tuple[str, Parameter]]:
        """What each function of the job takes by name, besides what the flow passes to it."""
        for stage in self.stages:
            for parameter in stage.named:
                yield stage.task.name, parameter
        yield from self._wanted_by_fan_outs()
        if self.callback_signature is not None:
            for parameter in self.callback_signature.parameters:
                if parameter.name not in CALLBACK_GIVEN:
                    yield "on_job_complete", parameter
        if self.finalize is not None:
            for parameter in signature_of(self.finalize).split(fed=True, where=f"job {self.name}, finalize")[1]:
                yield "finalize", parameter

    def _wanted_by_fan_outs(self) -> Iterator[tuple[str, Parameter]]:
        taken = {parameter.name for stage in self.stages for parameter in stage.named}
        names = {stage.name for stage in self.stages}
        for stage in self.stages:
            source = self.source_of(stage) or {}
            if "parameter" in source and source["parameter"] not in taken:
                yield stage.name, Parameter(source["parameter"], list[Any])
            for parameter in stage.fan_out.parameters if stage.fan_out else ():
                if parameter.name not in names:
                    yield f"the fan-out of {stage.name}", parameter

    def _check_model(self, model: type[BaseModel]) -> None:
        for handler, parameter in self._wanted():
            if parameter.name not in model.model_fields:
                raise DefinitionError(
                    f"job {self.name}: {handler} takes {parameter.name}, which {model.__name__} does not have",
                )


def checked_deadline(seconds: float | None) -> float | None:
    """`seconds`, unchanged. Raises DefinitionError for a time within which no job could end."""
    if seconds is not None and not 0 < seconds <= LONGEST_DEADLINE:
        raise DefinitionError(f"a deadline is a positive number of seconds, at most a hundred years, not {seconds}")
    return seconds
