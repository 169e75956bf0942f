"""It happens: store, bus, flow, handlers, worker, and the application on top."""
