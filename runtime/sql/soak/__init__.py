"""The statements that only the soak runs."""
