"""The audit: one statement per file for each gap that a query can find.

Each returns up to %(examples)s rows of job_id, subject, detail and since, and the total in `found`.
Each reads one snapshot, takes no lock that blocks a worker, and changes nothing.
"""
