"""`Stage`: one step of a job, and where its input comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast

from .checks import check_name
from .errors import DefinitionError
from .signature import Parameter, Signature, signature_of
from .task import Task

Policy = Literal["fail_fast", "finish_siblings"]
Kind = Literal["single", "each", "gather", "takes"]
FanOut = Callable[..., Sequence[object]]


@dataclass(frozen=True)
class Stage:
    """One stage of a job: a name, a task, and where its input comes from.

    - without an input: one task, which takes job parameters by name.
    - `each="plan"`: a task for each item. `plan` is an earlier stage with one task, whose result is the list of items;
      or an earlier fan-out stage, each of whose results is an item; or a job parameter that is a list; or a
      function that takes job parameters by name, and earlier stages' outputs by the stage's name.
    - `gather="hillshade"`: one task, with every result of that stage, in task order.
    - `takes="check"`: one task, with the result of that one-task stage.

    The input is passed to the handler's first parameter. `at_least` makes fewer tasks a failure. `policy` decides what
    happens to the siblings of a task that fails for good: `fail_fast` cancels those that have not started and asks
    the running ones to stop, `finish_siblings` lets all of them finish first.
    """

    name: str
    task: Task[..., Any]
    each: str | FanOut | None = None
    gather: str | None = None
    takes: str | None = None
    at_least: int = 0
    policy: Policy = "fail_fast"

    def __post_init__(self) -> None:
        check_name("stage", self.name)
        if not isinstance(cast("object", self.task), Task):
            raise DefinitionError(f"stage {self.name}: {self.task!r} is not a task; decorate the function with @task")
        if sum(source is not None for source in (self.each, self.gather, self.takes)) > 1:
            raise DefinitionError(f"stage {self.name}: declare only one of each, gather and takes")
        if self.at_least and self.each is None:
            raise DefinitionError(f"stage {self.name}: at_least counts the tasks of a fan-out (each=…)")
        if self.policy not in {"fail_fast", "finish_siblings"}:
            raise DefinitionError(f"stage {self.name}: policy is fail_fast or finish_siblings, not {self.policy!r}")

    @property
    def kind(self) -> Kind:
        """How the stage gets its tasks."""
        if self.each is not None:
            return "each"
        return "gather" if self.gather is not None else "takes" if self.takes is not None else "single"

    @cached_property
    def fan_out(self) -> Signature | None:
        """What the fan-out function takes, if the stage has one."""
        return signature_of(self.each) if callable(self.each) else None

    @cached_property
    def named(self) -> tuple[Parameter, ...]:
        """The parameters that the handler takes from the job by name."""
        return self.task.signature.split(fed=self.kind != "single", where=f"stage {self.name}")[1]
