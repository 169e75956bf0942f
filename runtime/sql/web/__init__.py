"""What the pages and the HTTP interface read: one statement a file, each in one snapshot, and without a lock."""
