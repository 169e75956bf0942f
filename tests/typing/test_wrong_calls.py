"""Wrong calls are errors for both type checkers, and the right calls beside them are none."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.sources import ROOT

CALLS = """
from coremachine import CoreMachine, Job, Settings, Stage, TaskContext, task
from coremachine.statemachine import Column, Event, Lifecycle, Machine, State, Subject, Transition

@task
def plan(raster: str, size: int = 4) -> list[dict[str, int]]:
    return []

@task(retries="3")  # wrong
def twice() -> None: ...

plan("dem", size=2)
plan(1)  # wrong
plan("dem", height=2)  # wrong
length: int = plan("dem")  # wrong

def undecorated(raster: str) -> str:
    return raster

Stage("plan", plan, policy="finish_siblings")
Stage("plan", undecorated)  # wrong
Stage("plan", plan, policy="ignore")  # wrong
Stage("plan", plan, eahc="windows")  # wrong

job = Job("shading", [Stage("plan", plan)])
Job("shading", Stage("plan", plan))  # wrong
Job("shading", [Stage("plan", plan)], deadline="soon")  # wrong
Job("shading", [Stage("plan", plan)], on_complete=undecorated)  # wrong

app = CoreMachine(jobs=[job], settings=Settings(concurrency=2))
app.submit(job, raster="dem").id.upper()
app.submit(job, raster="dem").ident  # wrong
app.submit(undecorated)  # wrong
app.work(True)  # wrong
CoreMachine(jobs=job)  # wrong
CoreMachine(bus="rabbit")  # wrong
Settings(concurency=2)  # wrong

TaskContext(attempt=2).checkpoint("begun", row=1)
TaskContext(attempt="2")  # wrong

Event("approval_given", "warning")
Event("approval_given", "fine")  # wrong
State(name="pending", final=True)  # wrong
Transition(trigger="approve", sources="pending", target="approved", event=Event("approval_given"))  # wrong
Machine(job)  # wrong
Machine(Lifecycle("a", states=(), transitions=())).fire(Subject("a", "pending"), "approve")
Machine(Lifecycle("a", states=(), transitions=())).fire("a", "approve")  # wrong
Column(name="job_id")  # wrong
"""
WRONG = {number for number, line in enumerate(CALLS.splitlines(), start=1) if line.endswith("# wrong")}


def mypy(file: Path) -> set[int]:
    """The lines of a file in which mypy finds an error, by the configuration of this repository."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--no-pretty", str(file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout + run.stderr
    return {int(line) for line in re.findall(r"^.*calls\.py:(\d+): error: ", run.stdout, re.MULTILINE)}


def pyright(file: Path) -> set[int]:
    """The lines of a file in which pyright finds an error, by the configuration of this repository."""
    given = ["--outputjson", "--project", "pyproject.toml", "--pythonpath", sys.executable, str(file)]
    command = [sys.executable, "-m", "pyright", *given]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout + run.stderr
    found = json.loads(run.stdout)["generalDiagnostics"]
    return {one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_each_wrong_call_is_an_error_and_nothing_else_is(checker: Callable[[Path], set[int]], tmp_path: Path) -> None:
    file = tmp_path / "calls.py"
    file.write_text(CALLS)

    found = checker(file)

    assert sorted(found) == sorted(WRONG)
