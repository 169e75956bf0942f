"""The flow, one file per step: submit, handle_job, open_stage, run_task, advance, finalize, callback."""
