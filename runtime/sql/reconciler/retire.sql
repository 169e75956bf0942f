-- reconciler: deletes what is out of date. The function is the owner's: a worker may delete nothing.
SELECT app.forget()
