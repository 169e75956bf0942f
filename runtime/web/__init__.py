"""The pages and the HTTP interface. Needs the extra `web`."""

from .access.policy import Access
from .site import create_site

__all__ = ["Access", "create_site"]
