"""Mutants that no behaviour can tell from the original, because something else refuses the same; and what that is."""

import re
from collections.abc import Mapping

EQUIVALENT: Mapping[str, str] = {
    r"jobs: jobs_lease_(owner|expires_at)_tied": (
        "owner and end come together (jobs_message_lease), so the other tie tells"
    ),
    r"trigger jobs_0_key": "each job has the event of its birth, whose foreign key holds the job's id",
    r"trigger \w+_1_stamp without and OLD.status <> NEW.status": "the guard refuses a move that moves nothing",
    r"function stamp_move without FOUND": "the guard refuses a move that is not declared, whatever is stamped on it",
    r"trigger (stages|tasks|callbacks)_4_birth without or NEW.move_number <> 0": (
        "a row with moves and no event breaks event_told, and one with an event is refused by the next operand"
    ),
    r"function write_\w+_events without a.event_type IS NOT NULL": (
        "a job is never born without its event, and on other tables no trigger calls the function for a birth"
    ),
    r"function write_notes without SET search_path .*": (
        "nothing in its body is found by the path; it is there for what may be"
    ),
    r"function retire_jobs without j.status IN .*": "finished_at is tied to the same states",
    r"REVOKE ALL ON FUNCTION app.retire_jobs.*": "it runs with the rights of its caller, who may delete nothing",
    r"claim \w+.claim without x.status (IN|= ANY).*": (
        "due_at is tied to the same state, and a claim wants it; what was picked is locked"
    ),
    r"claim by key \w+.claim without x.\w+ = ANY\(ARRAY\(SELECT UNNEST.*": (
        "the join finds the same rows; it can only give the planner another way to them"
    ),
}
"""Patterns of names, each with its reason. The program checks that these do survive: else the reason is wrong."""


def is_equivalent(name: str) -> bool:
    """Whether a mutant is one of these."""
    return any(re.fullmatch(pattern, name) for pattern in EQUIVALENT)
