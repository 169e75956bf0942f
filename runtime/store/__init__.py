"""The database of a process: connections, transactions, moves, queries."""
