-- database: a worker gives up what its login may do beyond its role, where the role exists and may be taken.
SELECT set_config('role', rolname, false) FROM pg_roles WHERE rolname = %(role)s AND pg_has_role(oid, 'MEMBER')
