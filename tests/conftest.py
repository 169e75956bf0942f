pytest_plugins = ["tests.no_skips", "tests.databases", "tests.servicebus.fixtures"]
