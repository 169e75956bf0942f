"""What the SDK raises, in our words."""

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)

from ...errors import BrokerError

RAISED = (AzureError, OSError, ValueError, TimeoutError, AttributeError, TypeError, IndexError)
"""The SDK wraps most, but its AMQP layer lets some of its own slips through when a link ends at a bad moment."""

REMEDIES: tuple[tuple[type[Exception], str], ...] = (
    (MessagingEntityNotFoundError, "the queue does not exist: `coremachine bus template` prints what to create"),
    (MessagingEntityDisabledError, "the queue is disabled"),
    (ServiceBusAuthorizationError, "the login lacks a role: Azure Service Bus Data Sender and Data Receiver"),
    (ServiceBusAuthenticationError, "the login was refused; is the clock right, and the credential?"),
    (ClientAuthenticationError, "no token could be had from Entra ID"),
)


def broker_error(what: str, error: BaseException) -> BrokerError:
    """An error of the SDK as one of ours; lasting where trying again alone will not help."""
    for kind, remedy in REMEDIES:
        if isinstance(error, kind):
            return BrokerError(what, f"{remedy} ({words_of(error)})", lasting=True)
    return BrokerError(what, words_of(error))


def words_of(error: BaseException) -> str:
    """The kind of an error, and the first line that it says."""
    told = str(error).strip().splitlines()
    return f"{type(error).__name__}: {told[0][:300]}" if told else type(error).__name__
