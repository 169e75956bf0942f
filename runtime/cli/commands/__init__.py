"""The commands of `coremachine`, one in each module."""
