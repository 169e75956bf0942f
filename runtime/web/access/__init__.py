"""Authentication, roles, and what a viewer may see."""
