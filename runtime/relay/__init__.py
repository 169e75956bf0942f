"""The loops for a broker: one sends the messages of queued rows, one reads dead letters."""

from .dead_letters import DeadLetterReader
from .relay import Relay

__all__ = ["DeadLetterReader", "Relay"]
