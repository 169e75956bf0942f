"""The audit: one statement a file for each gap that a query can find.

Each returns up to %(examples)s rows of job_id, subject, detail and since, and in `found` how many there are in all.
Each reads one snapshot, takes no lock that a worker could wait for, and changes nothing.
"""
