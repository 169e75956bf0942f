"""The relay: sends the messages of queued rows to a broker."""

from .relay import Relay

__all__ = ["Relay"]
