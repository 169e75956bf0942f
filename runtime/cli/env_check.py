"""Environment variables that look like settings of CoreMachine but are not: probably misspelled."""

import difflib
from collections.abc import Iterable, Iterator

from ..settings import Settings
from ..worker.parent_watch import PARENT_WATCH_VARIABLE, URL_VARIABLE
from .app_loader import APP_VARIABLE

PREFIX = "COREMACHINE_"
OTHER_VARIABLES = frozenset(
    {APP_VARIABLE, PARENT_WATCH_VARIABLE, URL_VARIABLE, "COREMACHINE_DEBUG", "COREMACHINE_PG_BIN"}
)
SIMILARITY = 0.85


def misspelled_settings(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each of `names` that is almost the name of a variable of ours, with the variable that it resembles most.

    A name that resembles none may belong to another program, as those of the tests do.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    for name in sorted(set(names) - known):
        if name.upper().startswith(PREFIX):
            near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=SIMILARITY)
            if near and name.upper() not in known:
                yield name, near[0]
