"""The loops beside a broker: one sends the messages of queued rows, one reads what was dead-lettered."""

from .dead_letters import DeadLetterReader
from .relay import Relay

__all__ = ["DeadLetterReader", "Relay"]
