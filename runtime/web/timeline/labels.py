"""Labels beside the markers of the job's lane, if they fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# in percent of a lane's width on a common screen; narrow screens hide the labels
CHARACTER_WIDTH = 0.8
MERGE_DISTANCE = 1.2
GAP = 1.2


@dataclass(frozen=True, slots=True)
class Label:
    """A label at a position in percent, after the marker or `before` it."""

    position: float
    text: str
    before: bool


def place_labels(markers: Sequence[tuple[float, str]]) -> list[Label]:
    """Place the labels of markers, given in order. Markers that are close together share a label."""
    groups = _merge_close(markers)
    labels: list[Label] = []
    occupied = 0.0
    for (position, text), (end, _) in pairwise([*groups, (100.0 + GAP, "")]):
        width = GAP + len(text) * CHARACTER_WIDTH
        fits_after = position + width <= end - GAP
        if fits_after or position - width >= occupied:
            labels.append(Label(position, text, before=not fits_after))
        occupied = position + (width if fits_after else GAP)
    return labels


def _merge_close(markers: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    groups: list[tuple[float, list[str]]] = []
    for position, text in markers:
        if groups and position - groups[-1][0] < MERGE_DISTANCE:
            groups[-1][1].append(text)
        else:
            groups.append((position, [text]))
    return [(position, ", ".join(dict.fromkeys(texts))) for position, texts in groups]
