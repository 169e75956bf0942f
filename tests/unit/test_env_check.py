"""Which environment variables are reported as misspelled."""

from coremachine.runtime.cli.env_check import misspelled_settings


def test_a_misspelled_variable_is_reported_with_the_most_similar_setting() -> None:
    assert list(misspelled_settings(["COREMACHINE_CONCURENCY", "COREMACHINE_LEASES"])) == [
        ("COREMACHINE_CONCURENCY", "COREMACHINE_CONCURRENCY"),
        ("COREMACHINE_LEASES", "COREMACHINE_LEASE"),
    ]


def test_a_known_variable_and_one_that_resembles_none_are_not_reported() -> None:
    names = ["COREMACHINE_LEASE", "coremachine_lease", "COREMACHINE_APP", "COREMACHINE_PG_BIN", "PATH"]
    assert (
        list(misspelled_settings([*names, "COREMACHINE_TEST_DSN", "COREMACHINE_MUTANTS", "COREMACHINE_UPDATE_GOLDEN"]))
        == []
    )
