import argparse
import asyncio
import sys
from contextlib import ExitStack
from time import perf_counter
from uuid import uuid4

import psycopg

from coremachine.runtime.embedded import EmbeddedServer
from tests.databases import Created, install, url_of
from tests.mutants.equivalent import is_equivalent
from tests.mutants.ground import lay
from tests.mutants.judge import judge, judge_statements, probes_of, unsound, unsound_statements
from tests.mutants.of_ddl import of_ddl
from tests.mutants.of_moves import broken, statements
from tests.mutants.of_queues import broken_queue, queues
from tests.mutants.waiting_for_locks import Bystanders


def main() -> int:
    """Judge every mutant of the generated schema and statements. Exits with 1 where one survives that should not."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=main.__doc__)
    parser.add_argument("--url", help="a server on which databases may be made (default: the embedded one)")
    parser.add_argument("--killers", action="store_true", help="say for each mutant what went wrong with it")
    given = parser.parse_args()
    with ExitStack() as stack:
        server = given.url
        if server is None:
            server = stack.enter_context(EmbeddedServer.open()).url
        name = f"mutants_{uuid4().hex[:12]}"
        stack.enter_context(Created(server, name, None))
        return _judge(url_of(server, name), killers=given.killers)


def _judge(url: str, *, killers: bool) -> int:
    asyncio.run(install(url))
    ground, began = asyncio.run(lay(url)), perf_counter()
    of_statements = [one for statement in statements() for one in broken(statement)]
    of_queues = [one for statement in queues() for one in broken_queue(statement)]
    with psycopg.connect(url, autocommit=True) as connection, Bystanders(url) as bystanders:
        probes = probes_of(ground)
        wrong = [*unsound(connection, probes), *unsound_statements(connection, bystanders, ground)]
        verdicts = (
            judge(connection, of_ddl(), probes),
            judge_statements(connection, bystanders, ground, [*of_statements, *of_queues]),
        )
    survivors = [name for verdict in verdicts for name in verdict.survivors]
    killed = {name: why for verdict in verdicts for name, why in verdict.killers.items()}
    made = sum(verdict.made.total() for verdict in verdicts)
    unexplained = sorted(name for name in survivors if not is_equivalent(name))
    mistaken = sorted(name for name in killed if is_equivalent(name))
    lines = [f"{name}: {why}" for name, why in killed.items()] if killers else []
    lines += [f"wrong where nothing was taken out: {one}" for one in wrong]
    lines += [f"survives: {one}" for one in unexplained]
    lines += [f"is listed as equivalent, and is not: {one}: {killed[one]}" for one in mistaken]
    lines.append(f"{made} mutants, {made - len(survivors)} killed, {len(survivors) - len(unexplained)} equivalent,")
    lines[-1] += f" {len(unexplained)} survive, {perf_counter() - began:.0f} s"
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if wrong or unexplained or mistaken else 0


if __name__ == "__main__":
    sys.exit(main())
