"""The arguments of a user's function."""

from collections.abc import Mapping

from ...statemachine.signature import REQUIRED, Signature, converted

UNCHANGEABLE = (str, int, float, bool, type(None))


class Arguments:
    """The keyword arguments of many calls of one function: those that are the same for all are converted once.

    The function's input is first, if it is `fed` one; the rest come from `known` by name, or from its defaults. Raises
    pydantic's ValidationError for a value that does not match the function's annotation, and KeyError for a
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
        # a call may change its arguments, so that a mutable one must not be passed to the next call
        self._converted_each_call = [
            one
            for one in named
            if one.name in known and one.adapter is not None and not isinstance(self._same[one.name], UNCHANGEABLE)
        ]

    def of(self, value: object = None) -> dict[str, object]:
        """The arguments of one call, with its input."""
        given = dict(self._same)
        for one in self._converted_each_call:
            given[one.name] = converted(one, self._known[one.name])
        if self._input is not None:
            given[self._input.name] = converted(self._input, value)
        return given


def arguments(
    signature: Signature, known: Mapping[str, object], *, fed: bool = False, value: object = None
) -> dict[str, object]:
    """The keyword arguments of one call. Raises as `Arguments` does."""
    return Arguments(signature, known, fed=fed).of(value)
