-- database: asked where take_role returned nothing: who logged in, and whether the role is there to be granted.
SELECT current_user AS login, EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s) AS role_exists
