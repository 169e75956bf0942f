"""A script for a child process: draws the DOT text on standard input with the Graphviz in a wheel.

`python -P bundled_graphviz.py svg|png [DPI]` writes the picture to standard output. Exit code 3 means that the machine
has no font, so that a PNG would show boxes instead of letters.
"""

import sys
from collections.abc import Mapping, MutableMapping
from typing import Protocol, cast

import pygraphviz  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

NO_FONT = 3


class _Node(Protocol):
    attr: Mapping[str, str]


class _Graph(Protocol):
    """The part of `pygraphviz.AGraph` that is used here; the package comes without types."""

    graph_attr: MutableMapping[str, str]

    def layout(self, *, prog: str) -> None: ...
    def draw(self, *, format: str, prog: str) -> bytes: ...  # noqa: A002  (the name is theirs)
    def get_node(self, name: str) -> _Node: ...


def main(picture_format: str, dpi: str = "") -> int:
    """Draw standard input to standard output, and return the exit code."""
    if picture_format == "png" and not _letters_differ():
        return NO_FONT
    graph = _graph(sys.stdin.buffer.read().decode())
    if dpi:
        graph.graph_attr["dpi"] = dpi
    sys.stdout.buffer.write(graph.draw(format=picture_format, prog="dot"))
    return 0


def _graph(dot: str) -> _Graph:
    return cast("_Graph", pygraphviz.AGraph(string=dot))  # pyright: ignore[reportUnknownMemberType]


def _letters_differ() -> bool:
    """Whether a narrow and a wide letter are laid out differently; without fonts each is the same empty box."""
    probe = _graph("digraph { node [shape=plain]; narrow [label=iiiiii]; wide [label=MMMMMM] }")
    probe.layout(prog="dot")
    return probe.get_node("narrow").attr["width"] != probe.get_node("wide").attr["width"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
