"""The sync application says what the async one says."""

import pytest

from coremachine import CoreMachine, Job, Stage, task
from coremachine.runtime.app.audit import UnknownGapError
from coremachine.runtime.errors import UnknownJobError


@task
def double(number: int) -> int:
    return 2 * number


JOB = Job("doubles", [Stage("double", double, each="numbers")])


def test_why_and_audit_answer_plain_sync_code(url: str) -> None:
    with CoreMachine(url, jobs=[JOB]) as app:
        job = app.submit(JOB, numbers=[1], deadline=600)
        why = app.why(job.id[:8])
        assert (why.job_id, why.verdict, why.deadline) == (job.id, "waiting", why.until)
        assert app.audit().findings == ()
        assert app.audit(["GAP-8"], record=True).checked == ("GAP-8",)
        with pytest.raises(UnknownJobError):
            app.why("abc")
        with pytest.raises(UnknownGapError):
            app.audit(["GAP-1"])
