"""The web pages and the HTTP API. Needs the extra `web`."""

from .access.policy import Access
from .site import create_site

__all__ = ["Access", "create_site"]
