"""What a handler returns becomes JSON that comes back as it was, or is refused by type and field (F17, F39, GAP-5)."""

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from coremachine.statemachine.results import LARGEST_RESULT, ResultError, json_text

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
AS_THEY_ARE: list[object] = [{}, [], 0, "", None, False, 0.0, {"a": [1, {"b": None}]}, "Höhe 🏔", "\\u0000"]


@dataclass
class Tile:
    """A result as a dataclass."""

    path: Path
    heights: list[float]


class Summary(BaseModel):
    """A result as a pydantic model."""

    name: str
    tiles: list[Tile]


class Shade(Enum):
    """A result as an enum."""

    DARK = "dark"


@pytest.mark.parametrize("value", AS_THEY_ARE, ids=repr)
def test_a_result_comes_back_as_it_was(value: object) -> None:
    assert json.loads(json_text(value)) == value


@given(JSON)
def test_any_json_comes_back_as_it_was(value: object) -> None:
    assert json.loads(json_text(value)) == value


CONVERTED: list[tuple[object, object]] = [
    (Tile(Path("a/b"), [1.5]), {"path": "a/b", "heights": [1.5]}),
    (
        Summary(name="s", tiles=[Tile(Path("a"), [])]),
        {"name": "s", "tiles": [{"path": "a", "heights": []}]},
    ),
    ([Tile(Path("a"), [])], [{"path": "a", "heights": []}]),
    ((1, 2), [1, 2]),
    ({3}, [3]),
    (date(2026, 11, 23), "2026-11-23"),
    (datetime(2026, 11, 23, tzinfo=UTC), "2026-11-23T00:00:00Z"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Shade.DARK, "dark"),
    (Decimal("1.50"), "1.50"),
]


@pytest.mark.parametrize(("value", "kept"), CONVERTED, ids=lambda value: type(value).__name__)
def test_what_pydantic_knows_becomes_json(value: object, kept: object) -> None:
    assert json.loads(json_text(value)) == kept


def refusal_of(value: object, largest: int = LARGEST_RESULT) -> ResultError:
    with pytest.raises(ResultError) as refused:
        json_text(value, largest=largest)
    return refused.value


def counting() -> Generator[int]:
    yield 1


async def waiting() -> int:
    return 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")], ids=repr)
def test_a_number_that_is_none_is_refused_with_its_field(number: float) -> None:
    error = refusal_of({"tiles": [{"mean": 1.0}, {"mean": number}]})
    assert (error.field, error.type, error.reason) == ("result.tiles[1].mean", "float", f"{number} is not JSON")
    assert str(error) == f"result.tiles[1].mean is a float: {number} is not JSON"


@pytest.mark.parametrize("where", ["", "[0]", ".a", ".heights"])
def test_a_number_that_is_none_is_found_wherever_it_is(where: str) -> None:
    wrong = [float("nan")]
    results: dict[str, object] = {"": wrong, "[0]": [wrong], ".a": {"a": wrong}, ".heights": Tile(Path("a"), wrong)}
    assert refusal_of(results[where]).field == f"result{where}[0]"


def test_a_generator_is_to_be_exhausted_and_a_coroutine_awaited() -> None:
    assert refusal_of(counting()).type == "generator"
    assert "await or exhaust it in the handler" in refusal_of({"a": counting()}).reason
    coroutine = waiting()
    try:
        error = refusal_of([coroutine])
        assert (error.field, error.type) == ("result[0]", "coroutine")
    finally:
        coroutine.close()


def test_an_object_is_refused_by_type_and_field() -> None:
    class Raster:
        """Nothing that pydantic knows."""

    error = refusal_of({"rasters": [1, Raster()]})
    assert (error.field, error.type) == ("result.rasters[1]", "Raster")
    assert error.reason == "cannot be JSON; return data, not a Raster"
    assert refusal_of(Raster).field == "result"
    assert refusal_of(refusal_of).type == "function"


def test_fifty_megabytes_are_kept_in_a_file() -> None:
    error = refusal_of("x" * 50_000_000)
    assert error.reason == f"50000002 bytes of JSON, more than {LARGEST_RESULT}; keep it in a file"
    assert json_text("xx", largest=4) == '"xx"'
    assert refusal_of("xxx", largest=4).type == "str"


def test_what_postgresql_cannot_keep_is_refused() -> None:
    error = refusal_of({"names": ["a\x00b"]})
    assert (error.field, error.reason) == ("result.names[0]", "holds a NUL character, which PostgreSQL cannot keep")
    assert refusal_of({"a\x00b": 1}).field == "result key"
    error = refusal_of(["\ud800"])
    assert (error.field, error.reason) == ("result[0]", "holds a lone surrogate, which is not text")
    assert refusal_of(Tile(Path("a\x00"), [])).field == "result.path"


@pytest.mark.parametrize("key", [1, None, True, 1.5, (1, 2)], ids=repr)
def test_a_key_that_is_not_text_is_not_made_text_in_silence(key: object) -> None:
    error = refusal_of({"ok": {key: 1}})
    assert error.field == "result.ok"
    assert error.reason == f"its key {key!r} is a {type(key).__name__}, not text"


def test_what_holds_itself_is_refused() -> None:
    ring: list[object] = []
    ring.append(ring)
    assert "nested more than" in refusal_of(ring).reason


@pytest.mark.parametrize(
    "unrun", [counting, lambda: map(str, [1]), lambda: iter([1])], ids=["generator", "map", "iter"]
)
def test_what_has_to_be_run_first_is_found_inside_a_model_and_left_as_it_was(unrun: Callable[[], object]) -> None:
    inside = unrun()
    result = {"summary": Summary.model_construct(name="s", tiles=[Tile(Path("a"), cast("list[float]", inside))])}
    assert refusal_of(result).field == "result.summary.tiles[0].heights"
    assert list(cast("Iterator[object]", inside))
