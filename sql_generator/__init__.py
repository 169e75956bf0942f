"""The declaration as SQL: tables, constraints, guards and moves. No connection."""

from .moves import MoveStatement, move_statement
from .queues import claim_statement
from .schema import ddl, digests, script
from .sweeps import sweep_statement

__all__ = ["MoveStatement", "claim_statement", "ddl", "digests", "move_statement", "script", "sweep_statement"]
