"""Whatever a broker does, the job ends, each task counts once, and the audit finds nothing."""

import pytest

from tests.integration.servicebus.conftest import Queues
from tests.integration.servicebus.faults import FAULTS, Fault, run_under

COUNT = 20


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_job_ends_and_each_task_counts_once_under(fault: Fault, queues: Queues) -> None:
    outcome = await run_under(fault, queues, COUNT)
    assert (outcome.status, outcome.result) == ("completed", COUNT * (COUNT - 1))
    assert outcome.ran_otherwise == 0
    assert outcome.findings == ()
