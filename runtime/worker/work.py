"""Claimed rows as work: calls of handlers, job messages and callbacks."""

from collections.abc import Sequence

from ..executor.call import Call, ReportOf
from ..leases.lease_table import LeaseTable
from ..store.rows import ClaimedCallback, ClaimedTask, JobMessage
from ..store.session import Row


class TaskCalls:
    """Turns claimed tasks into calls. From then on each can be asked to stop."""

    def __init__(self, leases: LeaseTable, report: ReportOf) -> None:
        self._leases = leases
        self._report = report

    def of(self, rows: Sequence[Row]) -> list[Call]:
        """One call for each row."""
        calls = [Call(ClaimedTask(**row), self._report, self._leases.begin_task) for row in rows]
        self._leases.set_stop_functions({call.task.key: call.ask_to_stop for call in calls})
        return calls


def job_messages_of(rows: Sequence[Row]) -> list[JobMessage]:
    """Claimed job messages."""
    return [JobMessage.of(row) for row in rows]


def callbacks_of(rows: Sequence[Row]) -> list[ClaimedCallback]:
    """Claimed callbacks."""
    return [ClaimedCallback(**row) for row in rows]
