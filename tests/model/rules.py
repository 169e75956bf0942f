"""The rules of the flow that keep the model sound, each of which can be dropped to see what then goes wrong."""

from collections.abc import Mapping

RULES: Mapping[str, str] = {
    "fence": "an outcome counts only under the lease number that it names",
    "source": "an outcome counts only for a task that is processing",
    "distinct": "in a batch each outcome is decided by its own lease number, after those before it",
    "counted by trigger": "the database counts tasks by their rows, and refuses what does not fit its counters",
    "claim source": "only what is queued is claimed",
    "advance": "a task that ends is counted, and its stage closed, in its own transaction",
    "post": "the message for the job is posted in the transaction that closes the stage",
    "locks": "the counters of a stage are read under its lock",
    "whole": "a stage closes only when each of its tasks has ended",
    "rescue": "the reconciler takes tasks away from workers that are gone",
    "rescue again": "a rescue looks again, under the locks, whether the lease has run out",
    "max rescues": "a task is rescued a limited number of times",
    "max attempts": "a task is tried a limited number of times",
    "redelivery": "a job message that nobody acknowledges comes again",
    "pending": "a message opens only a stage that is pending, and only for who holds it",
    "under way": "a message finalizes only a job that is processing, and only for who holds it",
    "acknowledge": "only who holds a message acknowledges it",
    "skip": "stages that were never opened are cancelled when their job ends",
    "sweep": "what has not started is cancelled when its stage is stopped",
    "again": "opening a stage again queues its tasks that did not succeed",
    "resume stages": "resuming a job resumes its stages",
    "deadline": "the reconciler ends jobs that are past their deadline",
    "deadline again": "ending a job for its deadline looks again, under the locks, whether it is past it",
    "asked": "a job that was asked to stop is not stopped once more for its deadline",
    "deadline fails": "a stage that was stopped for a deadline ends failed, however its tasks end",
    "new deadline": "resuming a job gives it its time again",
    "timeout": "the reconciler takes tasks from workers that hold them past their time",
    "stop grace": "the reconciler takes tasks from workers that were asked to stop and do not",
    "in time": "a task is not taken from a worker that renews its lease before its time is over",
    "owed": "the callback is owed in the transaction that completes the job",
    "callback fence": "a callback's outcome counts only under the lease number that it names",
    "callback rescue": "the reconciler takes callbacks away from workers that are gone",
    "poll": "workers look for work without a notification",
}
"""Each rule, and what it says. The model keeps all of them by default."""

BEHIND: Mapping[str, str] = {"counted by trigger": "distinct"}
"""Rules of a second line of defence, each with the rule that it stands behind.

While that one is kept such a rule has nothing to do, and dropping it shows nothing: both are dropped to see what it is
good for.
"""


def dropping(rule: str) -> frozenset[str]:
    """What is dropped to see whether `rule` matters: it, and the rule that it stands behind."""
    return frozenset({rule, BEHIND.get(rule, rule)})
