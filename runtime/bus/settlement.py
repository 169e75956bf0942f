"""What is to become of a message that came: decided apart from the broker that then settles it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Complete:
    """It has done its work, or there was none for it to do: `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """Give it back: it is delivered again, and that counts."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Nobody could ever do anything with it."""

    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """Somebody else can: its row has been put off by `delay` seconds and is then sent anew, so this one is settled."""

    delay: float
    reason: str


Settlement = Complete | Abandon | DeadLetter | Redirect
