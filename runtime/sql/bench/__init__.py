"""The statements of `coremachine bench`: they read its costs, and create and drop its separate schema."""
