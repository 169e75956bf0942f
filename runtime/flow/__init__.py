"""The flow, a file a step: submit, handle_job, open_stage, run_task, advance, finalize, callback."""
