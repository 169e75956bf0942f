"""Leases: the leases that this worker holds, and the process that renews them."""
