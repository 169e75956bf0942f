"""The soak: jobs that fail at random run for an hour, while workers are killed and PostgreSQL is restarted.

What the handlers leave outside the database is compared with what the database tells, job by job.
"""
