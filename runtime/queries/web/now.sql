-- web: what time it is, by the only clock that counts.
SELECT app.clock() AS now
