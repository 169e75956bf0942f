"""A program: how long a hundred healthy jobs take beside each kind of row that nobody can handle."""
