"""Azure Service Bus as a transport. Needs the extra `azure`, so import it only where it is wanted."""

from .transport import ServiceBusTransport

__all__ = ["ServiceBusTransport"]
