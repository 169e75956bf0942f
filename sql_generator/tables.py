"""CREATE TABLE and CREATE INDEX for records, with every rule about a single row as a constraint."""

from sqlglot import exp

from ..statemachine.errors import DefinitionError
from ..statemachine.records import MOVE_COLUMNS, Column, Index, Record, StateColumn
from .text import data_type, one_of, parse

BIGGEST_NUMBER = 2_000_000_000
LATEST_TIME = "9999-01-01 00:00:00+00"
LONGEST_INTERVAL = "36525 days"


def create_table(record: Record, schema: str) -> exp.Create:
    """The table of `record`: its key, its columns, the columns of every move, and its constraints."""
    definitions = [_column(column, schema, record) for column in (record.key, *record.columns, *MOVE_COLUMNS)]
    constraints = [
        _constraint(f"{record.table}_pkey", exp.PrimaryKey(expressions=[exp.to_identifier(record.key.name)])),
        *(_foreign_key(record.table, column, schema) for column in record.columns if column.references),
        _check(f"{record.table}_status", one_of("status", tuple(record.lifecycle.by_name))),
        *(
            _check(f"{record.table}_{tie.column}_tied", rule)
            for tie in record.state_columns
            if (rule := _tied(tie, record))
        ),
        *(_check(f"{record.table}_{check.name}", check.expression) for check in record.checks),
        _check(f"{record.table}_event_told", _event_complete(record)),
        *([_check(f"{record.table}_in_range", _in_range(record))] if record.bounded else ()),
    ]
    return exp.Create(
        this=exp.Schema(this=exp.to_table(f"{schema}.{record.table}"), expressions=[*definitions, *constraints]),
        kind="TABLE",
        exists=True,
        properties=storage(record.storage),
    )


def create_index(index: Index, table: str, schema: str) -> exp.Expr:
    """One index of a table."""
    unique = "UNIQUE " if index.unique else ""
    include = f" INCLUDE ({', '.join(index.include)})" if index.include else ""
    where = f" WHERE {index.where}" if index.where else ""
    columns = ", ".join(index.columns)
    return parse(f"CREATE {unique}INDEX IF NOT EXISTS {index.name} ON {schema}.{table} ({columns}){include}{where}")


def storage(text: str) -> exp.Properties | None:
    """Storage parameters, `name = value` separated by commas, as a WITH clause."""
    if not text:
        return None
    pairs = (pair.split("=") for pair in text.split(","))
    return exp.Properties(
        expressions=[exp.Property(this=exp.var(name.strip()), value=parse(value.strip())) for name, value in pairs],
    )


def column_definition(column: Column, schema: str, default: str | None = None) -> exp.ColumnDef:
    """A column with its type, default, identity and own CHECK."""
    constraints: list[exp.ColumnConstraintKind] = []
    if column.identity:
        constraints.append(exp.GeneratedAsIdentityColumnConstraint(this=True))
    default = default if default is not None else column.default
    if default is not None:
        constraints.append(exp.DefaultColumnConstraint(this=parse(default.replace("{schema}", schema))))
    if not column.nullable:
        constraints.append(exp.NotNullColumnConstraint())
    if column.unique:
        constraints.append(exp.UniqueColumnConstraint())
    if column.check:
        constraints.append(exp.CheckColumnConstraint(this=parse(column.check)))
    return exp.ColumnDef(
        this=exp.to_identifier(column.name),
        kind=data_type(column.type),
        constraints=[exp.ColumnConstraint(kind=constraint) for constraint in constraints],
    )


def _column(column: Column, schema: str, record: Record) -> exp.ColumnDef:
    initial = f"'{record.lifecycle.initial.name}'" if column.name == "status" else None
    return column_definition(column, schema, initial)


def _constraint(name: str, kind: exp.Expr) -> exp.Constraint:
    return exp.Constraint(this=exp.to_identifier(name), expressions=[kind])


def _check(name: str, condition: str) -> exp.Constraint:
    return _constraint(name, exp.CheckColumnConstraint(this=parse(condition)))


def _foreign_key(table: str, column: Column, schema: str) -> exp.Expr:
    created = parse(
        f"CREATE TABLE t (c INT, CONSTRAINT fk_{table}_{column.name} FOREIGN KEY ({column.name})"
        f" REFERENCES {schema}.{column.references})",
    )
    found = created.find(exp.Constraint)
    if found is None:
        raise DefinitionError(f"{table}.{column.name} refers to {column.references}: write table(column)")
    return found


def _tied(tie: StateColumn, record: Record) -> str:
    """The condition on a tied column; empty if every state allows everything."""
    if not tie.allowed:
        return f"({one_of('status', tie.required)}) = ({tie.column} IS NOT NULL)"
    rules: list[str] = []
    if tie.required:
        rules.append(f"(NOT {one_of('status', tie.required)} OR {tie.column} IS NOT NULL)")
    if {*tie.required, *tie.allowed} != {*record.lifecycle.by_name}:
        rules.append(f"({one_of('status', (*tie.required, *tie.allowed))} OR {tie.column} IS NULL)")
    return " AND ".join(rules)


def _event_complete(record: Record) -> str:
    unmoved = "" if record.lifecycle.created else "move_number = 0 OR "
    return f"{unmoved}(event_type IS NOT NULL AND event_status IS NOT NULL AND event_data IS NOT NULL)"


def _in_range(record: Record) -> str:
    """The condition that every number, time and interval of a row can be read, compared and added to.

    Without it one row could stop all work: a lease number that overflows fails each claim that reads the row, an
    infinite time fails each list that includes it.
    """
    columns = (*record.columns, *MOVE_COLUMNS)
    numbers, times, intervals = (
        ", ".join(column.name for column in columns if column.type == kind)
        for kind in ("INT", "TIMESTAMPTZ", "INTERVAL")
    )
    rules = [
        f"LEAST({numbers}) >= 0 AND GREATEST({numbers}) <= {BIGGEST_NUMBER}",
        f"LEAST({times}) > '-infinity' AND GREATEST({times}) < '{LATEST_TIME}'",
    ]
    if intervals:
        rules.append(f"LEAST({intervals}) >= '0' AND GREATEST({intervals}) <= '{LONGEST_INTERVAL}'")
    return " AND ".join(rules)
