"""Probes: statements that must pass or must be refused, tried on the server, each as if it had never been."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import psycopg

ATTEMPT = r"""
CREATE FUNCTION public.attempt(statement text, holds text, taken_role text) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
  changed bigint;
  held boolean := true;
BEGIN
  IF taken_role IS NOT NULL THEN
    EXECUTE 'SET LOCAL ROLE ' || taken_role;
  END IF;
  EXECUTE statement;
  GET DIAGNOSTICS changed = ROW_COUNT;
  IF holds IS NOT NULL THEN
    EXECUTE 'SELECT ' || replace(holds, '$changed', changed::text) INTO held;
  END IF;
  RAISE EXCEPTION 'over' USING ERRCODE = CASE WHEN held THEN 'XX0OK' ELSE 'XX0NO' END;
EXCEPTION
  WHEN SQLSTATE 'XX0OK' THEN RETURN 'passed';
  WHEN SQLSTATE 'XX0NO' THEN RETURN 'passed, but it does not hold that ' || holds;
  WHEN OTHERS THEN RETURN 'refused: ' || SQLERRM;
END $body$
"""

FIRST_WRONG = r"""
CREATE FUNCTION public.first_wrong(statements text[], hold text[], refused boolean[], words text[], roles text[])
RETURNS TABLE (at int, answer text) LANGUAGE plpgsql AS $body$
BEGIN
  FOR i IN 1 .. cardinality(statements) LOOP
    answer := public.attempt(statements[i], hold[i], roles[i]);
    IF starts_with(answer, 'refused') <> refused[i] OR strpos(answer, words[i]) = 0
       OR NOT refused[i] AND answer <> 'passed' THEN
      at := i;
      RETURN NEXT;
      RETURN;
    END IF;
  END LOOP;
END $body$
"""


class Probe(NamedTuple):
    """A statement, and what becomes of it: it passes, and afterwards `holds` holds; or it is refused, with `words`.

    `$changed` in `holds` stands for the number of rows that the statement changed. `role` is taken on before.
    """

    about: str
    statement: str
    holds: str | None = None
    refused: bool = False
    words: str = ""
    role: str | None = None


def first_wrong(connection: psycopg.Connection[tuple[int, str]], probes: Iterable[Probe]) -> str | None:
    """Try one probe after the other, in one round trip, and return what is wrong with the first that is wrong."""
    tried: Sequence[Probe] = list(probes)
    columns = [list(column) for column in zip(*tried, strict=True)]
    row = connection.execute(
        "SELECT at, answer FROM public.first_wrong(%s::text[], %s::text[], %s::boolean[], %s::text[], %s::text[])",
        columns[1:],
    ).fetchone()
    return None if row is None else f"{tried[row[0] - 1].about}: {row[1]}"
