"""From the name of a lifecycle or a job to its picture in a file."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from ..statemachine.errors import OperationError
from ..statemachine.job import Job
from ..statemachine.lifecycle import Lifecycle
from ..statemachine.lifecycles import LIFECYCLES
from .dot import to_dot
from .draw import draw
from .graph import Graph, lifecycle_graph
from .mermaid import to_mermaid
from .shape import JobLike, job_shape, shape_graph

if TYPE_CHECKING:
    from collections.abc import Callable

Format = Literal["svg", "png", "dot", "mermaid"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[Format, str] = {"svg": "svg", "png": "png", "dot": "dot", "mermaid": "mmd"}


class TargetError(OperationError):
    """The target was not found, or cannot be drawn. Carries `target` and `reason`."""

    def __init__(self, target: str, reason: str) -> None:
        self.target = target
        self.reason = reason
        super().__init__(f"cannot draw {target!r}: {reason}")


def find_graphs(target: str) -> tuple[Graph, ...]:
    """The pictures that `target` names: one of CoreMachine's lifecycles, `all` of them, or `MODULE:NAME`.

    NAME is a Lifecycle, a Job, or an object with a method `shape()` that returns the shape of a job. Raises
    TargetError.
    """
    own = {lifecycle.name: lifecycle for lifecycle in LIFECYCLES}
    if target == "all":
        return tuple(lifecycle_graph(lifecycle) for lifecycle in LIFECYCLES)
    if target in own:
        return (lifecycle_graph(own[target]),)
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise TargetError(target, f"expected {', '.join((*own, 'all'))} or MODULE:NAME")
    return (graph_of(_find(target, module, name), target),)


def graph_of(thing: object, target: str) -> Graph:
    """The picture of a lifecycle or a job. Raises TargetError, naming `target`, for anything else."""
    if isinstance(thing, Lifecycle):
        return lifecycle_graph(thing)
    if isinstance(thing, Job):
        return shape_graph(job_shape(thing))
    shape = getattr(thing, "shape", None)
    if isinstance(thing, type) or not callable(shape):
        kind = type(thing).__name__
        raise TargetError(
            target, f"expected a Lifecycle, a Job or an object with a method shape(), found an object of type {kind}"
        )
    return shape_graph(cast("Callable[[], JobLike]", shape)())


def render(graph: Graph, picture_format: Format) -> bytes:
    """The bytes of a file with the picture: SVG, PNG, or DOT or Mermaid text in UTF-8. Raises DrawError."""
    match picture_format:
        case "dot":
            return to_dot(graph).encode()
        case "mermaid":
            return to_mermaid(graph).encode()
        case "svg" | "png":
            return draw(to_dot(graph), picture_format)


def export(target: str, picture_format: Format, path: Path) -> tuple[Path, ...]:
    """Write the pictures that `target` names, and return the files written.

    `path` is the file, or the directory for `all` and for an existing directory. Missing directories are created.
    Raises TargetError, DrawError, and OSError if a file cannot be written.
    """
    graphs = find_graphs(target)
    if target == "all" and path.is_file():
        raise TargetError(target, f"{path} is a file, but `all` needs a directory")
    into_directory = target == "all" or path.is_dir()
    suffix = SUFFIXES[picture_format]
    files = tuple((path / f"{graph.name}.{suffix}" if into_directory else path, graph) for graph in graphs)
    pictures = [(file, render(graph, picture_format)) for file, graph in files]
    for file, picture in pictures:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
    return tuple(file for file, _ in pictures)


def _find(target: str, module: str, name: str) -> object:
    try:
        thing: object = import_module(module)
    except ImportError as error:
        raise TargetError(target, f"module {module} cannot be imported: {error}") from error
    for part in name.split("."):
        if not hasattr(thing, part):
            raise TargetError(target, f"{module} has no {name}")
        thing = getattr(thing, part)
    return thing
