-- reconciler: deletes what nobody asks for any more. The function is the owner's: a worker may delete nothing.
SELECT app.forget()
