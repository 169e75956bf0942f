"""The fan-in that most peers leave to their user: a row that counts down to zero.

The task that takes it to zero submits the next step. It is written as a user would write it first, with one UPDATE for
each task; a crash between a task and its count is not handled, as it would not be there.
"""

import os

import psycopg

DSN = os.environ["BENCH_DSN"]
CREATE = "CREATE TABLE IF NOT EXISTS fan (id int PRIMARY KEY, left_over int NOT NULL)"
BEGIN = "INSERT INTO fan VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET left_over = EXCLUDED.left_over"
COUNT = "UPDATE fan SET left_over = left_over - 1 WHERE id = 1 RETURNING left_over"


def create() -> None:
    """Create the table."""
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute(CREATE)


def begin(tasks: int) -> None:
    """Set the counter."""
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute(BEGIN, (tasks,))
