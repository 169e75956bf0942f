"""Buses: how a ref that something may be done gets to who may do it."""
