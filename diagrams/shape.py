"""The shape of a job as a picture: its stages in order, with their fan-out and fan-in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from ..statemachine import Job, Stage
from .graph import START, Arrow, Graph, Group, Node

StageKind = Literal["single", "each", "gather", "takes"]


class StageLike(Protocol):
    """What a picture needs to know about a stage; StageShape explains each attribute."""

    @property
    def name(self) -> str:
        """The stage's name, unique within its job."""
        ...

    @property
    def task(self) -> str:
        """The name of the handler."""
        ...

    @property
    def kind(self) -> StageKind:
        """How its tasks are created."""
        ...

    @property
    def source(self) -> str | None:
        """The stage or parameter that feeds it."""
        ...

    @property
    def detail(self) -> str:
        """A line that replaces the default text, or empty."""
        ...


class JobLike(Protocol):
    """What a picture needs to know about a job."""

    @property
    def name(self) -> str:
        """The job's type."""
        ...

    @property
    def stages(self) -> Sequence[StageLike]:
        """The stages, in the order in which they run."""
        ...

    @property
    def finalizer(self) -> str | None:
        """The function that runs before the job is complete."""
        ...

    @property
    def callback(self) -> str | None:
        """The function that runs after the job is complete."""
        ...


@dataclass(frozen=True, slots=True)
class StageShape:
    """One stage of a job.

    `single` is one task, `each` one for each item of `source`, `gather` one with every result of `source`, `takes`
    one with the single result of `source`. A `detail` replaces this text.
    """

    name: str
    task: str
    kind: StageKind
    source: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class JobShape:
    """A job: its stages in order, and the names of the functions that run before and after it is complete."""

    name: str
    stages: tuple[StageShape, ...]
    finalizer: str | None = None
    callback: str | None = None


def job_shape(job: Job) -> JobShape:
    """The shape of a declared job."""
    return JobShape(
        name=job.name,
        stages=tuple(_stage_shape(job, stage) for stage in job.stages),
        finalizer=job.finalize and _name_of(job.finalize),
        callback=job.on_job_complete and _name_of(job.on_job_complete),
    )


def _stage_shape(job: Job, stage: Stage) -> StageShape:
    source_kind, source = next(iter((job.source_of(stage) or {}).items()), ("", None))
    kind = stage.kind
    if kind != "each" or source is None:
        return StageShape(stage.name, stage.task.name, kind, source)
    feeds_many = source_kind == "stage" and job.stage(source).kind == "each"
    input_name = (
        f"{'parameter ' if source_kind == 'parameter' else ''}{source}{'()' if source_kind == 'function' else ''}"
    )
    at_least = f", at least {stage.at_least}" if stage.at_least else ""
    detail = f"a task for each {'result' if feeds_many else 'item'} of {input_name}{at_least}"
    return StageShape(stage.name, stage.task.name, kind, source, detail)


def _name_of(function: Callable[..., object]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the picture: what it adds, and the nodes through which arrows enter and leave it."""

    nodes: tuple[Node, ...]
    ports: tuple[str, ...]
    group: Group | None = None


def shape_graph(job: JobLike) -> Graph:
    """The picture of a job's shape; `job` is a JobShape, or anything with the same attributes."""
    parts = [_dot("start"), *(_stage(number, stage) for number, stage in enumerate(job.stages, start=1))]
    parts += [_hook("finalizer", "finalize", job.finalizer)] if job.finalizer else []
    parts += [_dot("end")]
    nodes = [node for part in parts for node in part.nodes]
    edges: list[Arrow] = []
    for number, (before, after) in enumerate(pairwise(parts)):
        joins, arrows = _between(number, before.ports, after.ports)
        nodes += joins
        edges += arrows
    if job.callback:
        nodes += _hook("callback", "on_job_complete", job.callback).nodes
        edges.append(Arrow(source="end", target="callback", loose=True))
    return Graph(
        name=job.name,
        title=job.name,
        nodes=tuple(nodes),
        edges=tuple(edges),
        groups=tuple(part.group for part in parts if part.group),
        direction="right",
        text=_summary(job),
    )


def _summary(job: JobLike) -> str:
    stages = f"{len(job.stages)} stage{'' if len(job.stages) == 1 else 's'}, one after another"
    return stages + ("; the callback runs after the job is complete." if job.callback else ".")


def _stage(number: int, stage: StageLike) -> _Part:
    key, title = f"stage_{number}", f"{number}  {stage.name}"
    if stage.kind != "each":
        task = () if stage.task == stage.name else (stage.task,)
        node = Node(key=key, title=title, kind="task", captions=(*task, _caption(stage)))
        return _Part((node,), (key,))
    first, last = (Node(key=f"{key}_{place}", title=f"{stage.task} {place}", kind="task", group=key) for place in "1n")
    nodes = (first, Node(key=f"{key}_more", title="⋮", kind="more", group=key), last)
    return _Part(nodes, tuple(node.key for node in nodes), Group(key=key, title=title, captions=(_caption(stage),)))


def _caption(stage: StageLike) -> str:
    if stage.detail:
        return stage.detail
    match stage.kind:
        case "single":
            return "one task"
        case "each":
            return f"a task for each item of {stage.source}" if stage.source else "one task for each item"
        case "gather":
            return f"one task, all of {stage.source} in order"
        case "takes":
            return f"one task, the result of {stage.source}"


def _dot(key: Literal["start", "end"]) -> _Part:
    node = Node(key=START, title="", kind="start") if key == "start" else Node(key="end", title="completed", kind="end")
    return _Part((node,), (node.key,))


def _hook(key: str, role: str, function: str) -> _Part:
    return _Part((Node(key=key, title=function, kind="hook", captions=(role,)),), (key,))


def _between(number: int, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[list[Node], list[Arrow]]:
    """The arrows from one part to the next. Many to many meet in a point: a stage opens when the last has closed."""
    if len(before) == 1 or len(after) == 1:
        return [], [Arrow(source=source, target=target) for source in before for target in after]
    join = Node(key=f"join_{number}", title="", kind="join")
    inward = [Arrow(source=source, target=join.key) for source in before]
    return [join], inward + [Arrow(source=join.key, target=target) for target in after]
