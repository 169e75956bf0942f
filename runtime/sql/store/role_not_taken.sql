-- database: run if take_role returned nothing: the login, and whether the role exists and can be granted.
SELECT current_user AS login, EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s) AS role_exists
