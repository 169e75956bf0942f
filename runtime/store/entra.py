"""Entra ID in place of a password: Azure Database for PostgreSQL takes a token, which lasts about an hour."""

from typing import TYPE_CHECKING

from ..errors import DatabaseUnreachableError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

SCOPE = "https://ossrdbms-aad.database.windows.net/.default"


class EntraPassword:
    """Gives a token that is valid now, at each new connection. The credential keeps it and renews it in time.

    Needs the extra `azure` unless it is given a credential.
    """

    def __init__(self, credential: "TokenCredential | None" = None) -> None:
        if credential is None:
            from azure.identity import DefaultAzureCredential

            credential = DefaultAzureCredential()
        self._credential = credential

    def __call__(self) -> str:
        """A token. May ask Entra ID for it, so not to be called on a loop. Raises DatabaseUnreachableError."""
        from azure.core.exceptions import AzureError

        try:
            return self._credential.get_token(SCOPE).token
        except AzureError as error:
            raise DatabaseUnreachableError("Entra ID", f"no token for PostgreSQL could be had: {error}") from error
