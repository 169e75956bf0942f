from datetime import UTC
from typing import Any

from coremachine import AsyncCoreMachine
from coremachine.runtime.web import create_site
from tests.databases import OpenApp
from tests.observing import events_of
from tests.running import work, working
from tests.waiting import until_event, until_status
from tests.web.jobs import raster, world
from tests.web.site import client

SUBMIT = "/api/platform/submit"


async def submitted(app: AsyncCoreMachine, **parameters: Any) -> str:
    """Submit a job over HTTP; returns its id."""
    async with client(create_site(app)) as web:
        answer = await web.post(SUBMIT, json={"job_type": "raster", "parameters": parameters})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


async def test_a_second_submission_returns_the_existing_job(open_app: OpenApp) -> None:
    app = await open_app(raster)
    async with client(create_site(app)) as web:
        asked = {"job_type": "raster", "parameters": {"size": 2}}
        first, again = await web.post(SUBMIT, json=asked), await web.post(SUBMIT, json=asked)
        other = await web.post(SUBMIT, json={**asked, "key": "other"})
    assert [first.status_code, again.status_code, other.status_code] == [202, 200, 202]
    job_id = first.json()["job_id"]
    assert first.json()["monitor_url"] == f"http://localhost/jobs/{job_id}"
    assert (again.json()["job_id"], again.json()["created"]) == (job_id, False)
    assert other.json()["job_id"] != job_id
    (created,) = await events_of(app, job_id, "job_created")
    assert created["event_data"]["by"] == "loopback"


async def test_each_invalid_parameter_is_named(open_app: OpenApp) -> None:
    app = await open_app(raster)
    async with client(create_site(app)) as web:
        answer = await web.post(SUBMIT, json={"job_type": "raster", "parameters": {"size": "two", "colour": 1}})
        unknown = await web.post(SUBMIT, json={"job_type": "vector", "parameters": {}})
    assert answer.status_code == 422
    problem = answer.json()
    assert set(problem["parameters"]) == {"size", "colour"}
    assert problem["parameters"]["colour"] == "unknown parameter"
    assert problem["remedy"]
    assert unknown.status_code == 422
    assert list(unknown.json()["parameters"]) == ["job_type"]


async def test_jobs_are_filtered_and_paged_without_a_gap(open_app: OpenApp) -> None:
    app = await open_app(raster)
    ids = [await submitted(app, size=0, name=f"n{number}") for number in range(7)]
    async with client(create_site(app)) as web:
        seen: list[str] = []
        after = ""
        while True:
            page = (await web.get(f"/api/jobs?limit=3{after}")).json()
            seen += [job["job_id"] for job in page["jobs"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
            # jobs submitted meanwhile are newer than the page, and do not shift it
            await submitted(app, size=0, name=f"later{len(seen)}")
        assert seen == ids[::-1]
        for filters, expected in (
            ("status=queued&limit=500", 9),
            ("status=failed", 0),
            ("type=raster&limit=500", 9),
            ("type=other", 0),
            ("text=n3", 1),
            ("text=RAST&limit=500", 9),
            (f"text={ids[2][:9]}", 1),
            ("since=2001-01-01T00:00:00Z&limit=500", 9),
            ("until=2001-01-01T00:00:00Z", 0),
        ):
            listed = (await web.get(f"/api/jobs?{filters}")).json()["jobs"]
            assert len(listed) == expected, filters


async def test_a_job_its_stages_and_its_tasks_are_returned(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.failing = {2}
    job_id = await submitted(app, size=5)
    await work(app)
    async with client(create_site(app)) as web:
        job = (await web.get(f"/api/jobs/{job_id[:10]}")).json()
        stages = (await web.get(f"/api/jobs/{job_id}/stages")).json()["stages"]
        tasks = (await web.get(f"/api/jobs/{job_id}/tasks?stage=2&limit=2")).json()
        rest = (await web.get(f"/api/jobs/{job_id}/tasks?stage=2&after={tasks['next']}")).json()
        failed = (await web.get(f"/api/jobs/{job_id}/tasks?status=failed")).json()["tasks"]
        task = (await web.get(f"/api/jobs/{job_id}/tasks/{failed[0]['task_number']}")).json()
        listed = (await web.get("/api/jobs")).json()["jobs"][0]
    assert (job["status"], job["parameters"]["size"], job["error"]["type"]) == ("failed", 5, "RasterReadError")
    assert [stage["status"] for stage in stages] == ["completed", "failed", "cancelled"]
    assert [one["task_number"] for one in tasks["tasks"] + rest["tasks"]] == [2, 3, 4, 5, 6]
    assert [one["task_number"] for one in failed] == [4]
    assert (task["attempt"], task["max_attempts"], task["item"]) == (2, 2, 2)
    assert [event["type"] for event in task["events"]] == [
        "task_started",
        "task_retry_scheduled",
        "task_started",
        "task_failed",
    ]
    assert "frame_of_ours" in task["error"]["traceback"]
    assert listed["failure"] == world.message
    assert listed["last_event"]["type"] == "job_failed"


async def test_f35_events_are_filtered_in_the_database_before_the_limit_and_paged(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.failing = {2}
    job_id = await submitted(app, size=5)
    await work(app)
    written = await events_of(app, job_id)
    async with client(create_site(app)) as web:

        async def listed(filters: str) -> list[dict[str, Any]]:
            answer = await web.get(f"/api/jobs/{job_id}/events?{filters}")
            assert answer.status_code == 200, answer.text
            return list(answer.json()["events"])

        everything: list[int] = []
        after = ""
        while True:
            page = (await web.get(f"/api/jobs/{job_id}/events?limit=7{after}")).json()
            everything += [event["event_id"] for event in page["events"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert everything == [event["event_id"] for event in written]
        # the first failure comes after more events than a page has: a filter after the limit would find none
        assert [event["type"] for event in await listed("status=failure&limit=1")] == ["task_failed"]
        assert {event["task_number"] for event in await listed("task=4")} == {4}
        assert {event["stage"] for event in await listed("stage=1")} == {1}
        assert "job_started" not in {event["type"] for event in await listed("level=headlines")}
        assert "job_started" in {event["type"] for event in await listed("level=all&limit=500")}
        assert all("outside" in str(event["data"]) for event in await listed("text=outside"))
        assert len(await listed("text=outside")) >= 3
        assert (await web.get(f"/api/jobs/{job_id}/events?task=99")).status_code == 404


async def test_the_diagnosis_and_the_timeline_are_those_of_the_command_line(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.failing = {1}
    job_id = await submitted(app, size=2)
    await work(app)

    async with client(create_site(app)) as web:
        why = (await web.get(f"/api/jobs/{job_id}/why")).json()
        text = (await web.get(f"/api/jobs/{job_id}/timeline?format=text")).text
        timeline = (await web.get(f"/api/jobs/{job_id}/timeline")).json()
    ours = await app.why(job_id)
    assert why["verdict"] == ours.verdict == "failed"
    assert why["error"] == ours.error
    assert why["first_failure"]["event_id"] == timeline["first_failure"]["event_id"]
    assert text == await app.timeline(job_id, tz=UTC) + "\n"
    assert "← ERROR HERE" in text


async def test_resume_and_cancel_record_who_did_it(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.failing = {1}
    job_id = await submitted(app, size=2)
    await work(app)
    async with client(create_site(app)) as web:
        planned = (await web.post(f"/api/jobs/{job_id}/resume", json={"dry_run": True})).json()
        assert (planned["tasks_again"], (await app.job(job_id))["status"]) == (1, "failed")
        resumed = await web.post(f"/api/jobs/{job_id}/resume")
        assert (resumed.status_code, resumed.json()["status"]) == (200, "queued")
        again = await web.post(f"/api/jobs/{job_id}/resume")
        assert (again.status_code, again.json()["where"]) == (409, "status")
        cancelled = await web.post(f"/api/jobs/{job_id}/cancel", json={"reason": "the input was wrong"})
        assert cancelled.json() == {"job_id": job_id, "status": "cancelled"}
        assert (await web.post(f"/api/jobs/{job_id}/cancel")).status_code == 409
    (resumed_event,) = await events_of(app, job_id, "job_resumed")
    assert resumed_event["event_data"]["by"] == "loopback"
    (ended,) = await events_of(app, job_id, "job_cancelled")
    assert (ended["event_data"]["by"], ended["event_data"]["reason"]) == ("loopback", "the input was wrong")


async def test_cancelling_an_open_stage_records_who_did_it(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job_id = await submitted(app, size=3)

    world.gate.clear()
    async with working(app), client(create_site(app)) as web:
        await until_event(app, job_id, "task_started", number=3)
        answer = await web.post(f"/api/jobs/{job_id}/cancel", json={"reason": "no need"})
        assert answer.json()["status"] == "processing"
        world.gate.set()
        await until_status(app, job_id, "cancelled")
    (asked,) = await events_of(app, job_id, "stop_requested")
    assert (asked["event_data"]["by"], asked["event_data"]["why"]) == ("loopback", "no need")
