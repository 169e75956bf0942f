"""The statements of the soak, besides those of the application."""
