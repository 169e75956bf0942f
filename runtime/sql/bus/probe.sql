-- bus: whether this connection is still listening. An answer also shows that its line is not dead.
SELECT EXISTS (SELECT FROM pg_listening_channels() AS heard WHERE heard = %(channel)s) AS listening
