-- database: a worker drops the privileges of its login beyond its role, if the role exists and may be used. From
-- PostgreSQL 16 on, a member that may only grant the role may not take it.
SELECT set_config('role', rolname, %(local)s::boolean) FROM pg_roles
WHERE rolname = %(role)s
  AND pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
