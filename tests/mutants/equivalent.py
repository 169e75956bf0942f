"""Mutants that no behaviour can tell from the original, because something else refuses the same; and what that is."""

import re
from collections.abc import Mapping

EQUIVALENT: Mapping[str, str] = {
    r"jobs: jobs_lease_(owner|expires_at)_tied": (
        "owner and end come together (jobs_message_lease), so the other tie tells"
    ),
    r"trigger jobs_0_key": "each job has the event of its birth, whose foreign key holds the job's id",
    r"trigger (stages|callbacks)_0_key without its condition": "an identity can only be set to its next value",
    r"trigger \w+_5_moved without and OLD.status <> NEW.status": (
        "to write the state that a row is in is no legal move, which another guard refuses before"
    ),
    r"trigger \w+_5_moved without IS TRUE": (
        "a guard before has refused what is no declared event, and a column that is compared by = is NOT NULL"
    ),
    r"trigger jobs_5_moved without (compared|and) NEW\.(lease_owner|lease_expires_at) .*in job_\w+": (
        "owner and end come together (jobs_message_lease), so the other one tells"
    ),
    r"function refuse_undeclared_\w+ without compared (CAST\()?NEW\.(result|error|finished_at)\b.*": (
        "a constraint leaves it empty in every open state, and a row that has ended changes by moves alone"
    ),
    r"function refuse_undeclared_(task|callback) without compared NEW\.due_at in renew": (
        "a constraint leaves it empty in the states of that change"
    ),
    r"function refuse_undeclared_(task|callback) without compared NEW\.(lease_owner|lease_expires_at|deadline_at)"
    r" in (lease_for_send/redirect|confirm_sent)": "a constraint leaves it empty in the states of that change",
    r"function refuse_undeclared_(stage|task|callback) without and OLD\.status = '\w+' in [a-z_/]+": (
        "a constraint leaves what that change sets empty in other states"
    ),
    r"function refuse_undeclared_callback without IS TRUE": "a constraint has a value in each column that is compared",
    r"function refuse_undeclared_job without (and \((NOT )?|compared )NEW\.lease_(owner|expires_at).* in [a-z_]+": (
        "owner and end come together (jobs_message_lease), so the other one tells"
    ),
    r"function refuse_undeclared_job without or .* in redirect": (
        "lease_for_send allows the same of a row without a lease: what that one empties is empty"
    ),
    r"function refuse_undeclared_job without (member \w+|INTERVAL '1 DAY' in the sum for NEW.due_at) in redirect": (
        "the same: lease_for_send allows what it no longer allows"
    ),
    r"function refuse_undeclared_job without 1 in the sum in redirect": "then it is confirm_sent, of the same rows",
    r"function refuse_undeclared_job without and NOT OLD.lease_owner IS NULL in renew": (
        "it wants an end of the lease, and owner and end come together (jobs_message_lease)"
    ),
    r"function refuse_undeclared_job without (member processing|and NOT OLD.due_at IS NULL) in confirm_sent": (
        "requeue allows the same of a row under way without a lease, and a queued one without a time is refused"
    ),
    r"function refuse_undeclared_job without and OLD\.status = ANY\(CAST\('\{queued,processing\}'.* in [a-z_/]+": (
        "those are all states but the ended ones, where another guard refuses every change before"
    ),
    r"function refuse_undeclared_job without and OLD\.status = 'processing' in acknowledge": (
        "it empties due_at, which a constraint wants in a queued job; ended ones are refused before"
    ),
    r"trigger callbacks_6_ended without and OLD.status = NEW.status": "no move leaves a callback that has ended",
    r"trigger (stages|tasks|callbacks)_4_birth without or NEW.move_number <> 0": (
        "a row with moves and no event breaks event_told, and one with an event is refused by the next operand"
    ),
    r"function write_\w+_events without a.event_type IS NOT NULL": (
        "a job is never inserted without its event, and on other tables no trigger calls the function for a birth"
    ),
    r"function write_notes without SET search_path .*": (
        "nothing in its body is found by the path; it is there for what may be"
    ),
    r"function refuse_(move|event|key|telling|change) without SET search_path .*": (
        "it refuses, whatever it finds by the path; only its words could differ"
    ),
    r"function refuse_change_of without SET search_path .*": "the functions that call it have set it",
    r"function retire_jobs without j.status IN .*": "finished_at is tied to the same states",
    r"REVOKE ALL ON FUNCTION app.retire_jobs.*": "it runs with the rights of its caller, who may delete nothing",
    r"REVOKE ALL ON FUNCTION app.repair_job.*": "it runs with the rights of its caller, who may write no counter",
    r"function count_callbacks without TG_OP = 'INSERT'": "no trigger calls it for anything else",
    r"function count_stages without the refusal at births": "the foreign key refuses it before it is counted",
    r"function count_stages without d.stages_completed <> 0( OR)? at changes": "what becomes completed was open",
    r"function count_(stages|tasks) without coalesce\(sum\(c.n\) FILTER \(WHERE c.status = ANY.* at changes": (
        "where a number changes there is an open row, before or after"
    ),
    r"function count_tasks without d.tasks_\w+ <> 0( OR)? at changes": ("they add up, so that none differs alone"),
    r"function repair_job without compared s\.tasks_\w+ in line \d+": "counters add up, so that none differs alone",
    r"jobs: jobs_in_range without stages_(open|completed) in greatest": "stages_counted has them below stage_count",
    r"jobs: jobs_in_range without stage_count in least": "it has a CHECK of its own",
    r"stages: stages_in_range without tasks_total in least": "it is the sum of the others",
    r"stages: stages_in_range without tasks_(open|completed|failed|cancelled) in greatest": "their sum is tasks_total",
    r"stages: stages_in_range without stage in least": "it has a CHECK of its own",
    r"tasks: tasks_in_range without task_(index|number) in least": "they have a CHECK of their own",
    r"(tasks|callbacks): \w+_in_range without (max_)?(attempt|rescue)s? in least": "_attempts and _rescues_counted do",
    r"(tasks|callbacks): \w+_rescues_counted without rescues BETWEEN 0 AND max_rescues, below": "_in_range has it too",
    r"tasks: tasks_task_index_check": "tasks_in_range has the same lower bound",
    r"(tasks|callbacks): \w+_in_range without (attempt|rescues) in greatest": (
        "they are at most max_attempts and max_rescues"
    ),
    r"claim \w+.claim without x.status (IN|= ANY).*": (
        "due_at is tied to the same state, and a claim wants it; what was picked is locked"
    ),
    r"claim by key \w+.claim without x.\w+ = ANY\(ARRAY\(SELECT UNNEST.*": (
        "the join finds the same rows; it can only give the planner another way to them"
    ),
    r"queue job.(claim|due|lease_for_send|to_send) without NOT x.due_at IS NULL": (
        "a claim wants it to be at most some time, which NULL is not; what was picked is locked"
    ),
    r"queue (task|callback).(claim|due|lease_for_send|to_send) without x.status (IN|= ANY).*": (
        "due_at is tied to the same state, and a pick wants it; what was picked is locked"
    ),
    r"queue job.redirect without x.status = ANY.*": "due_at is tied to the same states, and it wants one",
    r"queue \w+.(renew|held|retry_later) without x.status (IN|= ANY).*": (
        "lease_owner is tied to the same states, and it wants one"
    ),
    r"queue \w+.claim_by_key without x.\w+ = ANY\(ARRAY\(SELECT UNNEST.*": (
        "the join finds the same rows; it can only give the planner another way to them"
    ),
    r"queue job.(requeue|requeue_stalled) without x.job_id = i.job_id": (
        "the rows that were locked are the rows of the same keys, and a row is updated once"
    ),
    r"queue \w+.(confirm_sent|renew|requeue_stalled) without its order": "it skips locked rows: it waits in no order",
    r"queue (job|callback).renew without stop_reason in its answer": "it is NULL there",
    r"queue (task|callback).(claim|claim_by_key) without SET (finished_at|result|error)": (
        "a constraint leaves it empty in the state that a claim leaves"
    ),
}
"""Patterns of names, each with its reason. The program checks that these do survive: else the reason is wrong."""


def is_equivalent(name: str) -> bool:
    """Whether a mutant is one of these."""
    return any(re.fullmatch(pattern, name) for pattern in EQUIVALENT)
