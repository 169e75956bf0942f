"""The counters: triggers that count, in each parent's row, the rows that belong to it, for every client.

A statement trigger sees the rows before and after, and adds the difference to their parents in the order of their keys;
if there is none, as for a claim, no parent is touched. So counters are right for every client, and the parent's CHECKs
on its counters hold for the rows in the children's table: a stage with an open task cannot close, a job with an open
stage cannot end, and nothing is added to a closed parent. Clients may not write a counter (`roles`).

A DELETE is not counted: only the owner may delete, and deletes whole jobs (`upkeep`). If a row is missing for another
reason, the counter differs, and the audit reports it.
"""

from sqlglot import exp

from ..statemachine.errors import DefinitionError
from ..statemachine.records import Parent, Record
from .text import one_of, parse

NO_SUCH_PARENT = "CM008"

COUNT = """\
CREATE OR REPLACE FUNCTION {schema}.count_{table}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  change record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR change IN
      {created}
    LOOP
      {adopt};
      IF NOT FOUND THEN
        RAISE EXCEPTION '{machine} of {key} %: no row of {parent} is its parent', change.{key}
          USING ERRCODE = '{no_such_parent}', DETAIL = format('The row is %s.', to_jsonb(change)),
          HINT = '{hint}';
      END IF;
    END LOOP;{changed}
  END IF;
  RETURN NULL;
END $body$"""

CHANGED = """
  ELSE
    FOR change IN
      {moved}
    LOOP
      {adjust};
    END LOOP;"""


def count_function(record: Record, schema: str) -> str:
    """The function that counts the rows of `record` in those of its parent."""
    parent = _parent(record)
    counters = (*parent.counts, *parent.sums)
    table = f"{schema}.{parent.table}"
    adds = ", ".join(f"{column} = p.{column} + change.{column}" for column in counters)
    found = " AND ".join(f"p.{column} = change.{column}" for column in (parent.key, *parent.same))
    if parent.states:
        found += f" AND {one_of('p.status', parent.states)}"
    changed = ""
    if counters:
        changed = CHANGED.format(
            moved=_moved(parent),
            adjust=f"UPDATE {table} AS p SET {adds} WHERE p.{parent.key} = change.{parent.key}",
        )
    same = f", with the same {' and '.join(parent.same)}" if parent.same else ""
    state = f" that is {' or '.join(parent.states)}" if parent.states else ""
    return COUNT.format(
        schema=schema,
        table=record.table,
        machine=record.machine,
        key=parent.key,
        parent=parent.table,
        created=_created(parent),
        adopt=f"UPDATE {table} AS p SET {adds} WHERE {found}"
        if counters
        else f"PERFORM FROM {table} AS p WHERE {found}",
        changed=changed,
        no_such_parent=NO_SUCH_PARENT,
        hint=f"It needs a row{state}{same}.",
    )


def count_function_kept(record: Record, schema: str) -> str:
    """Revokes the function from all other roles: on a table of theirs it would count rows that do not exist."""
    return f"REVOKE ALL ON FUNCTION {schema}.count_{record.table}() FROM PUBLIC"


def count_triggers(record: Record, schema: str) -> list[exp.Expr]:
    """The statement triggers that call the function. Their names put them before those that write events."""
    parent, table = _parent(record), record.table
    on, call = f"ON {schema}.{table}", f"FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_{table}()"
    inserts = f"{table}_count_births AFTER INSERT {on} REFERENCING NEW TABLE AS after_move"
    changes = f"{table}_count_changes AFTER UPDATE {on} REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move"
    wanted = (inserts, changes) if parent.counts or parent.sums else (inserts,)
    return [parse(f"CREATE OR REPLACE TRIGGER {trigger} {call}") for trigger in wanted]


def _parent(record: Record) -> Parent:
    if record.parent is None:
        raise DefinitionError(f"{record.table} has no parent to be counted in")
    return record.parent


def _created(parent: Parent) -> str:
    by = ", ".join(f"a.{column}" for column in (parent.key, *parent.same))
    counted = "".join(
        f", count(*){_filter('a', states)} AS {column}" for column, states in parent.counts.items()
    ) + "".join(f", sum(a.{column}) AS {total}" for total, column in parent.sums.items())
    return f"SELECT {by}{counted} FROM after_move AS a GROUP BY {by} ORDER BY a.{parent.key}"


def _moved(parent: Parent) -> str:
    """The differences that are not zero, one row per parent: the old rows count as negative."""
    summed = "".join(f", {{sign}}{{row}}.{column} AS {total}" for total, column in parent.sums.items())
    rows = " UNION ALL ".join(
        f"SELECT {r}.{parent.key}, {r}.status, {sign}1 AS n{summed.format(sign=sign, row=r)} FROM {table} AS {r}"
        for sign, r, table in (("-", "b", "before_move"), ("", "a", "after_move"))
    )
    counted = [
        f"coalesce(sum(c.n){_filter('c', states)}, 0) AS {column}" if states else f"sum(c.n) AS {column}"
        for column, states in parent.counts.items()
    ] + [f"sum(c.{total}) AS {total}" for total in parent.sums]
    differs = " OR ".join(f"d.{column} <> 0" for column in (*parent.counts, *parent.sums))
    return (
        f"SELECT d.* FROM (SELECT c.{parent.key}, {', '.join(counted)} FROM ({rows}) AS c GROUP BY c.{parent.key}) AS d"
        f" WHERE {differs} ORDER BY d.{parent.key}"
    )


def _filter(row: str, states: tuple[str, ...]) -> str:
    return f" FILTER (WHERE {one_of(f'{row}.status', states)})" if states else ""
