"""Short words beside the marks of the job's lane, where there is room for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# a character's width in percent of a lane on a common screen; on a narrow one the words are not shown
CHARACTER = 0.8
TOGETHER = 1.2
BESIDE = 1.2


@dataclass(frozen=True, slots=True)
class Label:
    """Words at a place in percent; before it where they would not fit behind."""

    place: float
    words: str
    before: bool


def labels_of(marks: Sequence[tuple[float, str]]) -> list[Label]:
    """The words of marks that stand in order; where two are at almost one place they share them."""
    groups = _together(marks)
    labels: list[Label] = []
    taken = 0.0
    for (place, words), (end, _) in pairwise([*groups, (100.0 + BESIDE, "")]):
        width = BESIDE + len(words) * CHARACTER
        behind = place + width <= end - BESIDE
        if behind or place - width >= taken:
            labels.append(Label(place, words, before=not behind))
        taken = place + (width if behind else BESIDE)
    return labels


def _together(marks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    groups: list[tuple[float, list[str]]] = []
    for place, words in marks:
        if groups and place - groups[-1][0] < TOGETHER:
            groups[-1][1].append(words)
        else:
            groups.append((place, [words]))
    return [(place, ", ".join(dict.fromkeys(told))) for place, told in groups]
