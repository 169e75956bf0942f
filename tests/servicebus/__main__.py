"""Run a broker until its standard input ends. The first line printed is the connection string."""

import argparse
import json
import sys

from .brokers import Broker


def main() -> None:
    """`python -m tests.servicebus --port 0 --queue tasks --queue 'jobs={"max_delivery_count": 3}'`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes one that is free")
    parser.add_argument("--queue", action="append", default=[], help='a name, or name={"setting": value}')
    given = parser.parse_args()
    named = [queue.partition("=") for queue in given.queue]
    with Broker({name: json.loads(settings or "{}") for name, _, settings in named}, port=given.port) as broker:
        sys.stdout.write(broker.connection_string + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
