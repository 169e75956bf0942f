-- database: a worker drops the privileges of its login beyond its role, if the role exists and may be used.
SELECT set_config('role', rolname, false) FROM pg_roles WHERE rolname = %(role)s AND pg_has_role(oid, 'MEMBER')
