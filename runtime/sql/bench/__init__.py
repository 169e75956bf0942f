"""The statements of `coremachine bench`: they read what it cost, and make and drop the schema of its own."""
