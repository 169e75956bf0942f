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
from tests.mutants.evaluate import evaluate, evaluate_statements, probes_of, unsound, unsound_statements
from tests.mutants.fixture_rows import create_rows
from tests.mutants.of_ddl import of_ddl
from tests.mutants.of_moves import broken, statements
from tests.mutants.of_queues import broken_queue, queues
from tests.mutants.waiting_for_locks import Bystanders


def main() -> int:
    """Evaluate every mutant of the generated schema and statements. Exits with 1 if one survives that should not."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=main.__doc__)
    parser.add_argument("--url", help="a server on which databases can be created (default: the embedded one)")
    parser.add_argument("--killers", action="store_true", help="print for each mutant which probe failed")
    given = parser.parse_args()
    with ExitStack() as stack:
        server = given.url
        if server is None:
            server = stack.enter_context(EmbeddedServer.open()).url
        name = f"mutants_{uuid4().hex[:12]}"
        stack.enter_context(Created(server, name, None))
        return _evaluate(url_of(server, name), killers=given.killers)


def _evaluate(url: str, *, killers: bool) -> int:
    asyncio.run(install(url))
    fixture, began = asyncio.run(create_rows(url)), perf_counter()
    of_statements = [one for statement in statements() for one in broken(statement)]
    of_queues = [one for statement in queues() for one in broken_queue(statement)]
    with psycopg.connect(url, autocommit=True) as connection, Bystanders(url) as bystanders:
        probes = probes_of(fixture)
        wrong = [*unsound(connection, probes), *unsound_statements(connection, bystanders, fixture)]
        evaluations = (
            evaluate(connection, of_ddl(), probes),
            evaluate_statements(connection, bystanders, fixture, [*of_statements, *of_queues]),
        )
    survivors = [name for evaluation in evaluations for name in evaluation.survivors]
    killed = {name: why for evaluation in evaluations for name, why in evaluation.killers.items()}
    made = sum(evaluation.made.total() for evaluation in evaluations)
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
