"""Running handlers: calls a task's function, and defines the errors of the call."""
