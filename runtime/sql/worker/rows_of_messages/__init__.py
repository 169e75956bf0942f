"""What became of the rows that messages speak of, one statement for each kind of message."""
