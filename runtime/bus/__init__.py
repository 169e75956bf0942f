"""Buses: they carry references to rows with work to the workers that may do it."""
