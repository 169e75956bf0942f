"""Running handlers: where a task's function is called, and what may go wrong there."""
