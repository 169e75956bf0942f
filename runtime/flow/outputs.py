"""The output of a stage: the result of its one task, or the results of all its tasks in task order."""

from collections.abc import Sequence
from typing import Any, cast

from ..errors import FanOutError
from ..store.rows import StageRow
from ..store.session import Session


async def output_of(session: Session, stage: StageRow) -> Any:
    """The result of a one-task stage; the list of results, in task order, of a fan-out."""
    results = await results_of(session, stage)
    return results if stage.definition.kind == "each" else results[0]


async def results_of(session: Session, stage: StageRow) -> list[Any]:
    """Every result of a stage, in task order."""
    return [row["result"] for row in await session.fetch("flow/stage_results", {"stage_id": stage.stage_id})]


def named(stages: Sequence[StageRow], name: str) -> StageRow:
    """The stage of that name. Raises KeyError."""
    for stage in stages:
        if stage.name == name:
            return stage
    raise KeyError(name)


def as_items(stage: str, source: str, value: object) -> list[object]:
    """`value` as the items of a fan-out. Raises FanOutError, naming its type, unless it is a list."""
    if isinstance(value, list | tuple):
        return list(cast("Sequence[object]", value))
    raise FanOutError(stage, f"{source} returned a {type(value).__name__}, not a list")
