"""Leases: what this worker holds, and the process that renews it."""
