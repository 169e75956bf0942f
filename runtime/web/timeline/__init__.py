"""The timeline chart of a job: its data, its layout, and the text on it."""
