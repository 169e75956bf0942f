"""The statements of `coremachine bench`: they read what a run cost, and prepare and drop its scratch schema."""
