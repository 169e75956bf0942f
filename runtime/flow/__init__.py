"""The flow. Its steps: submit, handle_job, open_stage, record_outcomes, advance, finalize, callback."""
