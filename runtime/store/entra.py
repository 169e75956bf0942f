"""Entra ID instead of a password: Azure Database for PostgreSQL accepts a token, which lasts about an hour."""

from typing import TYPE_CHECKING

from ..errors import DatabaseUnreachableError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

SCOPE = "https://ossrdbms-aad.database.windows.net/.default"


class EntraPassword:
    """Provides a valid token for each new connection. The credential caches it and renews it in time.

    Needs the extra `azure`, unless a credential is passed.
    """

    def __init__(self, credential: "TokenCredential | None" = None) -> None:
        if credential is None:
            from azure.identity import DefaultAzureCredential

            credential = DefaultAzureCredential()
        self._credential = credential

    def __call__(self) -> str:
        """A token. May send a request to Entra ID: do not call it on an event loop. Raises DatabaseUnreachableError."""
        from azure.core.exceptions import AzureError

        try:
            return self._credential.get_token(SCOPE).token
        except AzureError as error:
            raise DatabaseUnreachableError("Entra ID", f"no token for PostgreSQL is available: {error}") from error
