"""Which variables of the environment are told to be misspelt."""

from coremachine.runtime.cli.variables import misspelt


def test_a_misspelt_variable_is_told_with_the_nearest_setting() -> None:
    assert list(misspelt(["COREMACHINE_CONCURENCY", "COREMACHINE_LEASES"])) == [
        ("COREMACHINE_CONCURENCY", "COREMACHINE_CONCURRENCY"),
        ("COREMACHINE_LEASES", "COREMACHINE_LEASE"),
    ]


def test_what_is_known_or_like_nothing_known_is_left_alone() -> None:
    names = ["COREMACHINE_LEASE", "coremachine_lease", "COREMACHINE_APP", "COREMACHINE_PG_BIN", "PATH"]
    assert list(misspelt([*names, "COREMACHINE_TEST_DSN", "COREMACHINE_MUTANTS", "COREMACHINE_UPDATE_GOLDEN"])) == []
