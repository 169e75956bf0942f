"""Azure Service Bus as a transport. Needs the extra `azure`, so import it only if it is used."""

from .transport import ServiceBusTransport

__all__ = ["ServiceBusTransport"]
