"""Buses: how a hint that something may be done gets to who may do it."""
