"""A name of a schema that needs quotes, or that PostgreSQL would cut off, is refused in words."""

import re

import pytest
from sqlglot.dialects.postgres import Postgres

from coremachine.sql_generator.roles import worker_role
from coremachine.sql_generator.schema import script
from coremachine.sql_generator.schema_name import RESERVED, UNREADABLE, check_schema_name
from coremachine.sql_generator.text import parse, render
from coremachine.statemachine.errors import DefinitionError

REFUSED = {
    "select": "has a meaning in SQL",
    "lock": "has a meaning in SQL",
    "pg_x": "PostgreSQL reserves this name",
    "information_schema": "PostgreSQL reserves this name",
    "a" * 51: "is longer than 50 characters",
    "a" * 63: "is longer than 50 characters",
    "Jobs": "use lower-case letters",
    "my jobs": "use lower-case letters",
    "jobs; DROP TABLE x": "use lower-case letters",
    "": "use lower-case letters",
}
FORMS = (
    "{}.clock()",
    "CREATE SCHEMA IF NOT EXISTS {}",
    "SELECT {}.clock() FROM {}.jobs AS j",
    "CREATE INDEX IF NOT EXISTS a ON {}.tasks(b)",
    "CREATE TRIGGER a BEFORE INSERT ON {}.tasks FOR EACH ROW EXECUTE FUNCTION {}.b()",
    "INSERT INTO {}.tasks AS t (a) VALUES (1)",
    "UPDATE {}.tasks AS t SET a = {}.clock()",
)
WORDS = sorted({word.lower() for word in Postgres.Tokenizer.KEYWORDS if re.fullmatch(r"[A-Za-z]\w*", word)})


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_a_name_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        script(schema=name)


@pytest.mark.parametrize("name", ["app", "public", "data", "jobs", "pg", "a" * 50])
def test_a_name_that_needs_no_quotes_is_accepted(name: str) -> None:
    check_schema_name(name)
    assert len(worker_role(name)) <= 63


def test_two_long_names_have_two_roles() -> None:
    one, other = "a" * 49 + "1", "a" * 49 + "2"
    assert worker_role(one)[:63] != worker_role(other)[:63]


@pytest.mark.parametrize("word", [word for word in WORDS if word not in RESERVED | UNREADABLE])
def test_every_other_word_of_sqlglot_is_read_as_a_name(word: str) -> None:
    for form in FORMS:
        other = render(parse(form.replace("{}", "neutral_name")))
        assert render(parse(form.replace("{}", word))) == other.replace("neutral_name", word)
