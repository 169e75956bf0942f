"""A job is what it does: the same type, parameters and key have the same id."""

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coremachine.statemachine.errors import OperationError
from coremachine.statemachine.identity import job_id_of

PARAMETERS = {"raster": "dem.npz", "size": 256, "scale": 1.0, "tags": ["a", "b"]}


def test_an_id_is_the_sha256_of_the_canonical_json() -> None:
    canonical = b'{"parameters":{"b":[1,2],"caf\xc3\xa9":1.5},"type":"relief"}'
    assert job_id_of("relief", {"caf\u00e9": 1.5, "b": [1, 2]}) == sha256(canonical).hexdigest()


def test_the_order_of_parameters_does_not_matter() -> None:
    assert job_id_of("relief", PARAMETERS) == job_id_of("relief", dict(reversed(PARAMETERS.items())))
    nested = {"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}
    assert job_id_of("relief", nested[0]) == job_id_of("relief", nested[1])


def test_a_number_is_its_value_and_not_its_spelling() -> None:
    assert job_id_of("relief", {"scale": 1.0}) == job_id_of("relief", {"scale": 1})


def test_the_order_of_a_list_matters() -> None:
    assert job_id_of("relief", {"tags": ["a", "b"]}) != job_id_of("relief", {"tags": ["b", "a"]})


def test_type_parameters_and_key_each_make_another_job() -> None:
    ids = {
        job_id_of("relief", PARAMETERS),
        job_id_of("reliefs", PARAMETERS),
        job_id_of("relief", {**PARAMETERS, "size": 257}),
        job_id_of("relief", PARAMETERS, "2026-11"),
        job_id_of("relief", PARAMETERS, "2026-12"),
        job_id_of("relief", PARAMETERS, ""),
        job_id_of("relief", {**PARAMETERS, "key": "2026-11"}),
    }
    assert len(ids) == 7


@pytest.mark.parametrize("value", [2**53, -(2**53) - 1, "\ud800"], ids=ascii)
def test_what_canonical_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(OperationError, match="relief: its parameters have no canonical JSON"):
        job_id_of("relief", {"value": value})


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**53) + 1, 2**53 - 1)))
def test_an_id_is_64_hex_characters_and_survives_a_round_trip_through_json(parameters: dict[str, object]) -> None:
    made = job_id_of("relief", parameters)
    assert len(made) == 64
    assert set(made) <= set("0123456789abcdef")
    assert job_id_of("relief", json.loads(json.dumps(parameters))) == made
