"""Arguments and classes by the names that they had before 0.2. They work, and warn."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

C = TypeVar("C")


def renamed_arguments(**renamed: str) -> Callable[[type[C]], type[C]]:
    """Let a class be created with arguments by their old names: `old="new"`. Each one warns with DeprecationWarning."""

    def decorate(decorated: type[C]) -> type[C]:
        create: Callable[..., None] = decorated.__init__

        @wraps(create)
        def create_by_old_names(self: C, *args: Any, **given: Any) -> None:
            for old in renamed.keys() & given.keys():
                name, new = decorated.__name__, renamed[old]
                warnings.warn(f"{name}({old}=…) is now {name}({new}=…)", DeprecationWarning, stacklevel=2)
                given[new] = given.pop(old)
            create(self, *args, **given)

        setattr(decorated, "__init__", create_by_old_names)  # noqa: B010 - a type checker refuses the assignment
        return decorated

    return decorate
