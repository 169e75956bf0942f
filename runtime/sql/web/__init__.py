"""The statements of the pages and the HTTP interface: one per file, each in one snapshot, and without a lock."""
