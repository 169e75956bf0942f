from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.cli.terminal import program_command
from tests.acceptance.commands import error_of, run, run_json
from tests.acceptance.declared_jobs import failing, sums
from tests.databases import OpenApp


async def failed_job(app: AsyncCoreMachine) -> str:
    submitted = await app.submit(failing, count=3)
    await app.work(until_idle=True)
    return submitted.id


async def test_a_failed_job_is_resumed_after_a_dry_run(url: str, open_app: OpenApp) -> None:
    app = await open_app(failing)
    job_id = await failed_job(app)
    plan = run_json("resume", job_id[:8], "--dry-run", "--json", url=url)
    assert plan["dry_run"] is True
    assert plan["job_id"] == job_id
    assert (await app.job(job_id))["status"] == "failed"
    output = run("resume", job_id[:8], url=url).stdout
    first, second = output.splitlines()
    assert plan["tasks_again"] == 1
    assert first.startswith(f"{job_id[:12]} resumes from stage {plan['from_stage']}: 1 task runs again, ")
    assert second == f"It needs a running worker: {program_command()} worker --app MODULE"
    assert (await app.job(job_id))["status"] == "queued"


async def test_a_queued_job_is_cancelled_and_its_reason_is_recorded(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    submitted = await app.submit(sums, first=1)
    assert run("cancel", submitted.id, "--reason", "no longer wanted", url=url).stdout == (
        f"{submitted.id[:12]} is cancelled\n"
    )
    assert "no longer wanted" in run("timeline", submitted.id, "--json", url=url).stdout


async def test_a_job_that_cannot_be_resumed_or_cancelled_is_refused_with_the_reason(
    url: str, open_app: OpenApp
) -> None:
    app = await open_app(failing, sums)
    job_id = await failed_job(app)
    assert error_of("cancel", job_id, url=url) == "This job has ended (failed); there is nothing to cancel."
    submitted = await app.submit(sums, first=1)
    message = "This job is queued; to resume a job, it must be failed or cancelled."
    assert error_of("resume", submitted.id, url=url) == message
    await app.work(until_idle=True)
    for command in ("resume", "cancel"):
        message = f"This job has completed; there is nothing to {command}."
        assert error_of(command, submitted.id, url=url) == message
    assert "no job has the id 123456" in error_of("resume", "123456", url=url)
