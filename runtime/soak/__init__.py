"""The soak: jobs that fail at random run for an hour, while workers are killed and PostgreSQL is restarted.

Each job is checked: what its handlers did outside the database is compared with what the database has recorded.
"""
