from itertools import product

from coremachine import Job, Stage
from coremachine.diagrams import Graph, JobShape, StageShape, shape_graph
from coremachine.diagrams.dot import to_dot
from coremachine.diagrams.shape import job_shape
from coremachine.statemachine.task import task


@task
def plan(raster: str) -> list[int]:
    return [len(raster)]


@task
def shade(window: int) -> int:
    return window


@task(name="merge")
def mosaic(tiles: list[int]) -> int:
    return sum(tiles)


def odd_ones(plan: list[int]) -> list[int]:
    return [item for item in plan if item % 2]


def report(output: int) -> int:
    return output


def notify(job_id: str, result: object) -> None:
    """Take what a callback takes."""


PLAN = StageShape("plan", "plan_windows", "single")
SHADE = StageShape("hillshade", "shade", "each", "plan")
MOSAIC = StageShape("mosaic", "mosaic", "gather", "hillshade")
COPIES = ("1", "more", "n")


def arrows(graph: Graph) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in graph.edges}


def test_stages_follow_each_other_fanning_out_and_in() -> None:
    graph = shape_graph(JobShape("raster", (PLAN, SHADE, MOSAIC)))
    assert arrows(graph) == {
        ("Start", "stage_1"),
        *(("stage_1", f"stage_2_{copy}") for copy in COPIES),
        *((f"stage_2_{copy}", "stage_3") for copy in COPIES),
        ("stage_3", "end"),
    }
    assert [group.title for group in graph.groups] == ["2  hillshade"]


def test_parallel_tasks_of_two_stages_meet_in_one_point_between_them() -> None:
    graph = shape_graph(JobShape("raster", (SHADE, SHADE)))
    assert [node.key for node in graph.nodes if node.kind == "join"] == ["join_1"]
    assert ("stage_1_1", "join_1") in arrows(graph)
    assert ("join_1", "stage_2_n") in arrows(graph)
    assert not arrows(graph) & set(product((f"stage_1_{c}" for c in COPIES), (f"stage_2_{c}" for c in COPIES)))


def test_the_finalizer_stands_before_the_end_and_the_callback_hangs_loose_behind_it() -> None:
    graph = shape_graph(JobShape("raster", (PLAN,), finalizer="report", callback="notify"))
    assert arrows(graph) == {("Start", "stage_1"), ("stage_1", "finalizer"), ("finalizer", "end"), ("end", "callback")}
    assert [(edge.source, edge.target) for edge in graph.edges if edge.loose] == [("end", "callback")]


def test_each_kind_of_stage_shows_how_its_tasks_are_created() -> None:
    takes = StageShape("publish", "publish", "takes", "mosaic")
    own = StageShape("cut", "cut", "each", "tiles", "a task for each of the parameter tiles")
    dot = to_dot(shape_graph(JobShape("raster", (PLAN, SHADE, MOSAIC, takes, own))))
    for caption in (
        "one task<",
        "a task for each item of plan<",
        "one task, all of hillshade in order<",
        "one task, the result of mosaic<",
        "a task for each of the parameter tiles<",
    ):
        assert f">{caption}" in dot


def test_a_handler_is_named_where_its_name_is_not_the_stages() -> None:
    captions = {node.title: node.captions for node in shape_graph(JobShape("raster", (PLAN, MOSAIC))).nodes}
    assert captions["1  plan"] == ("plan_windows", "one task")
    assert captions["2  mosaic"] == ("one task, all of hillshade in order",)


def test_a_declared_job_has_a_shape() -> None:
    job = Job(
        "raster",
        [
            Stage("plan", plan),
            Stage("shade", shade, each="plan", at_least=2),
            Stage("again", shade, each="shade"),
            Stage("odd", shade, each=odd_ones),
            Stage("given", shade, each="windows"),
            Stage("mosaic", mosaic, gather="again"),
        ],
        finalize=report,
        on_job_complete=notify,
    )
    assert job_shape(job) == JobShape(
        "raster",
        (
            StageShape("plan", "plan", "single"),
            StageShape("shade", "shade", "each", "plan", "a task for each item of plan, at least 2"),
            StageShape("again", "shade", "each", "shade", "a task for each result of shade"),
            StageShape("odd", "shade", "each", "odd_ones", "a task for each item of odd_ones()"),
            StageShape("given", "shade", "each", "windows", "a task for each item of parameter windows"),
            StageShape("mosaic", "merge", "gather", "again"),
        ),
        finalizer="report",
        callback="notify",
    )
