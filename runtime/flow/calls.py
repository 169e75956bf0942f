"""What a user's function is called with."""

from collections.abc import Mapping

from ...statemachine.signature import REQUIRED, Signature, converted

UNCHANGEABLE = (str, int, float, bool, type(None))


class Arguments:
    """The keyword arguments of many calls of one function: what is the same for all of them is made once.

    The function's input comes first, where it is `fed` one, the rest from `known` by name, or from its defaults. Raises
    pydantic's ValidationError for a value that is not what the function's annotation says, and KeyError for a
    parameter that `known` does not have.
    """

    def __init__(self, signature: Signature, known: Mapping[str, object], *, fed: bool) -> None:
        self._known = known
        self._input, named = signature.split(fed=fed, where="handler")
        self._same: dict[str, object] = {}
        for one in named:
            if one.name in known:
                self._same[one.name] = converted(one, known[one.name])
            elif one.default is REQUIRED:
                raise KeyError(one.name)
            else:
                self._same[one.name] = one.default
        # a call may change what it is given: what was made for it must not be given to the next
        self._anew = [
            one
            for one in named
            if one.name in known and one.adapter is not None and not isinstance(self._same[one.name], UNCHANGEABLE)
        ]

    def of(self, value: object = None) -> dict[str, object]:
        """The arguments of one call, with its input."""
        given = dict(self._same)
        for one in self._anew:
            given[one.name] = converted(one, self._known[one.name])
        if self._input is not None:
            given[self._input.name] = converted(self._input, value)
        return given


def arguments(
    signature: Signature, known: Mapping[str, object], *, fed: bool = False, value: object = None
) -> dict[str, object]:
    """The keyword arguments of one call. Raises as `Arguments` does."""
    return Arguments(signature, known, fed=fed).of(value)
