"""The settlement of a received message: decided separately from the broker that then settles it."""

from dataclasses import dataclass

from .messages import MessageRef


@dataclass(frozen=True, slots=True)
class Complete:
    """It has done its work, or had none to do; `reason` says why. `lease` is the row and lease number it won."""

    reason: str
    lease: MessageRef | None = None


@dataclass(frozen=True, slots=True)
class Abandon:
    """Return it to the queue: it is delivered again, which counts as a delivery."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """No worker could ever handle it."""

    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another worker can handle it: its row is sent again in `delay` seconds, so this message is complete."""

    delay: float
    reason: str


Settlement = Complete | Abandon | DeadLetter | Redirect
