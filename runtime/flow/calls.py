"""What a user's function is called with."""

from collections.abc import Mapping

from ...statemachine.signature import Signature, converted, defaults_of


def arguments(
    signature: Signature, known: Mapping[str, object], *, fed: bool = False, value: object = None
) -> dict[str, object]:
    """The keyword arguments for a function: its input first, where it is fed one, the rest from `known` by name.

    Raises pydantic's ValidationError for a value that is not what the function's annotation says, and KeyError for a
    parameter that `known` does not have.
    """
    first, named = signature.split(fed=fed, where="handler")
    given = {} if first is None else {first.name: converted(first, value)}
    defaults = defaults_of(named)
    for parameter in named:
        if parameter.name in known:
            given[parameter.name] = converted(parameter, known[parameter.name])
        else:
            given[parameter.name] = defaults[parameter.name]
    return given
