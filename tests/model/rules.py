"""The rules of the flow that keep the model sound, each of which can be dropped to see what then goes wrong."""

from collections.abc import Mapping

RULES: Mapping[str, str] = {
    "fence": "an outcome counts only under the lease number that it names",
    "source": "an outcome counts only for a task that is processing",
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
    "owed": "the callback is owed in the transaction that completes the job",
    "callback fence": "a callback's outcome counts only under the lease number that it names",
    "callback rescue": "the reconciler takes callbacks away from workers that are gone",
    "poll": "workers look for work that they were not told of",
}
"""Each rule, and what it says. The model keeps them all unless told otherwise."""
