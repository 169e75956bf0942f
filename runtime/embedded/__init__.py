"""The embedded default: a PostgreSQL server of our own, in a data directory that survives, shared by several processes.

Needs the extra `embedded` (a wheel that carries PostgreSQL), or a PostgreSQL named by `COREMACHINE_PG_BIN`.
"""

from .errors import EmbeddedServerError
from .sharing import EmbeddedServer

__all__ = ["EmbeddedServer", "EmbeddedServerError"]
