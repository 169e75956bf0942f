"""The declaration as pictures: lifecycle diagrams, the shapes of jobs, and timelines of real jobs."""

from .draw import DrawError
from .export import TargetError, export, render
from .graph import Graph, lifecycle_graph
from .shape import JobShape, StageShape, shape_graph
from .timeline import Timeline, TimelineEvent
from .timeline_text import render_timeline

__all__ = [
    "DrawError",
    "Graph",
    "JobShape",
    "StageShape",
    "TargetError",
    "Timeline",
    "TimelineEvent",
    "export",
    "lifecycle_graph",
    "render",
    "render_timeline",
    "shape_graph",
]
