"""Environment variables of ours that nobody reads: most likely a setting that was misspelt."""

import difflib
from collections.abc import Iterable, Iterator

from ..settings import Settings
from .declared import APP_VARIABLE
from .processes import LEASH_VARIABLE, URL_VARIABLE

PREFIX = "COREMACHINE_"
OTHERS = frozenset({APP_VARIABLE, LEASH_VARIABLE, URL_VARIABLE, "COREMACHINE_DEBUG", "COREMACHINE_PG_BIN"})
ALIKE = 0.85


def misspelt(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each of `names` that is no variable of ours but nearly one, with the one that it resembles most.

    A name that resembles none may be somebody else's, as those of the tests are.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OTHERS
    for name in sorted(set(names) - known):
        if name.upper().startswith(PREFIX):
            near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=ALIKE)
            if near and name.upper() not in known:
                yield name, near[0]
