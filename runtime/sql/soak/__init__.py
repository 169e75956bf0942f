"""What the soak asks the database beside what everybody asks."""
