"""Errors of the SDK, as errors of CoreMachine."""

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)

from ...errors import BrokerError

RAISED = (AzureError, OSError, ValueError, TimeoutError, AttributeError, TypeError, IndexError)
"""The SDK wraps most errors, but some of its AMQP layer escape when a link ends at a bad moment."""

REMEDIES: tuple[tuple[type[Exception], str], ...] = (
    (MessagingEntityNotFoundError, "the queue does not exist: `coremachine bus template` prints what to create"),
    (MessagingEntityDisabledError, "the queue is disabled"),
    (ServiceBusAuthorizationError, "the login lacks a role: Azure Service Bus Data Sender and Data Receiver"),
    (ServiceBusAuthenticationError, "the login was refused; is the clock right, and the credential?"),
    (ClientAuthenticationError, "Entra ID issued no token"),
)


def broker_error(what: str, error: BaseException) -> BrokerError:
    """An error of the SDK as a BrokerError; lasting if trying again alone will not help."""
    for kind, remedy in REMEDIES:
        if isinstance(error, kind):
            return BrokerError(what, f"{remedy} ({words_of(error)})", lasting=True)
    return BrokerError(what, words_of(error))


def words_of(error: BaseException) -> str:
    """The type of an error, and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
