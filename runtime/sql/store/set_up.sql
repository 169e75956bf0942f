-- Database, for each new connection, or for each transaction through a pooler: what the database or the login has set
-- otherwise must not matter. One round trip.
SELECT set_config(name, value, %(local)s::boolean) FROM unnest(%(names)s::text[], %(values)s::text[]) AS setting(name, value)
