"""JSON is read as json.loads reads it, arrays are written as PostgreSQL reads them."""

import json

import pytest

from coremachine.runtime.store.session import array_text
from coremachine.runtime.store.text import read_json

DEEP = "[" * 500 + "]" * 500


@pytest.mark.parametrize(
    "text",
    [
        "123456789012345678901234567890",
        "0.1",
        "-0.0",
        "1.0",
        "5e-324",
        '{"a": 1, "a": 2}',
        '"\\u00e9\\ud83d\\ude00"',
        DEEP,
    ],
)
def test_json_is_read_as_json_loads_reads_it(text: str) -> None:
    for given in (text, text.encode()):
        assert repr(read_json(given)) == repr(json.loads(text))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        read_json("[1,")


def test_an_array_keeps_quotes_backslashes_and_what_looks_like_null_apart() -> None:
    assert array_text(['a "b"', "c\\d", "", "NULL", None, 7]) == r'{"a \"b\"","c\\d","","NULL",NULL,7}'
    assert array_text([]) == "{}"
