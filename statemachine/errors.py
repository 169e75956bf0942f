"""The root error, and its two branches: errors in a declaration, and errors at run time."""

from collections.abc import Sequence

SHOWN = 5


class CoreMachineError(Exception):
    """Root of every error that CoreMachine raises on purpose."""


class DefinitionError(CoreMachineError):
    """A lifecycle, record, job or task is declared wrongly. Raised when the declaration is imported."""


class OperationError(CoreMachineError):
    """An operation failed at run time, though the declaration is correct."""


class IllegalMoveError(OperationError):
    """A trigger was fired in a state from which the lifecycle does not allow it.

    Carries `machine`, `key`, `state`, `trigger` and `legal`, the triggers that are allowed from that state.
    """

    def __init__(self, machine: str, key: str, state: str, trigger: str, legal: Sequence[str]) -> None:
        self.machine = machine
        self.key = key
        self.state = state
        self.trigger = trigger
        self.legal = tuple(legal)
        allowed = ", ".join(self.legal) or "nothing"
        super().__init__(f"{machine} {key}: cannot {trigger} from {state}; legal from {state}: {allowed}")


class GapRefusedError(OperationError):
    """A gap check refused a move. Nothing has changed.

    Carries `gap` (the id of the check), `machine`, `key`, `trigger` and `reason`.
    """

    def __init__(self, gap: str, machine: str, key: str, trigger: str, reason: str) -> None:
        self.gap = gap
        self.machine = machine
        self.key = key
        self.trigger = trigger
        self.reason = reason
        super().__init__(f"{gap} refused {machine}.{trigger} of {key}: {reason}")


class LostRaceError(OperationError):
    """A move that must not lose moved no row: another client was first.

    Carries `machine`, `trigger` and `keys`, the rows that did not move.
    """

    def __init__(self, machine: str, trigger: str, keys: Sequence[str]) -> None:
        self.machine = machine
        self.trigger = trigger
        self.keys = tuple(keys)
        shown = ", ".join(self.keys[:SHOWN]) + (", …" if len(self.keys) > SHOWN else "")
        super().__init__(
            f"{machine}.{trigger} lost the race for {shown}: the row is no longer in the state it moves from"
        )


class ReplayError(OperationError):
    """The events of a row do not follow its lifecycle.

    Carries `machine`, `state` (reached so far), `event_type` and `position` (counted from 0).
    """

    def __init__(self, machine: str, state: str, event_type: str, position: int) -> None:
        self.machine = machine
        self.state = state
        self.event_type = event_type
        self.position = position
        super().__init__(f"{machine}: event {position} is {event_type}, which does not leave {state}")
