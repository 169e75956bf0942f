import signal

pytest_plugins = ["tests.no_skips", "tests.sampling", "tests.databases", "tests.servicebus.fixtures"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs this in the background has it ignored, and the commands that tests interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
