"""Short words beside the marks of the job's lane, where there is room for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# a character's width in percent of a lane on a common screen; on a narrow one the words are not shown
CHARACTER_WIDTH = 0.8
MERGE_DISTANCE = 1.2
GAP = 1.2


@dataclass(frozen=True, slots=True)
class Label:
    """Words at a place in percent; before it where they would not fit behind."""

    position: float
    text: str
    before: bool


def place_labels(markers: Sequence[tuple[float, str]]) -> list[Label]:
    """The words of marks that stand in order; where two are at almost one place they share them."""
    groups = _merge_close(markers)
    labels: list[Label] = []
    occupied = 0.0
    for (position, text), (end, _) in pairwise([*groups, (100.0 + GAP, "")]):
        width = GAP + len(text) * CHARACTER_WIDTH
        behind = position + width <= end - GAP
        if behind or position - width >= occupied:
            labels.append(Label(position, text, before=not behind))
        occupied = position + (width if behind else GAP)
    return labels


def _merge_close(markers: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    groups: list[tuple[float, list[str]]] = []
    for position, text in markers:
        if groups and position - groups[-1][0] < MERGE_DISTANCE:
            groups[-1][1].append(text)
        else:
            groups.append((position, [text]))
    return [(position, ", ".join(dict.fromkeys(texts))) for position, texts in groups]
