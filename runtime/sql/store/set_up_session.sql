-- Database, for each new connection: what the database or the login has set otherwise must not matter. One round trip.
SELECT set_config(name, value, false) FROM unnest(%(names)s::text[], %(values)s::text[]) AS setting(name, value)
