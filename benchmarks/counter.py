"""The fan-in that most peers leave to their user: a row that counts down, and the moment when it reached nought.

Whoever takes it to nought sends for what follows. It is written as a user would write it first, one UPDATE a task; what
a crash between the task and its count leads to is left open, as it would be there.
"""

import os

import psycopg

DSN = os.environ["BENCH_DSN"]
MAKE = "CREATE TABLE IF NOT EXISTS fan (id int PRIMARY KEY, left_over int NOT NULL)"
BEGIN = "INSERT INTO fan VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET left_over = EXCLUDED.left_over"
COUNT = "UPDATE fan SET left_over = left_over - 1 WHERE id = 1 RETURNING left_over"


def make() -> None:
    """Make the table."""
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute(MAKE)


def begin(tasks: int) -> None:
    """Set the counter."""
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute(BEGIN, (tasks,))
