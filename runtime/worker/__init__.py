"""The worker and its loops."""
