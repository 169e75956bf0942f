"""Loads what `--app` and `--records` name: the jobs, the records and the application of a module."""

import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TypeVar, cast

from ...statemachine.job import Job
from ...statemachine.records import Record, Schema
from ...statemachine.tables import SCHEMA
from ..app import AsyncCoreMachine, CoreMachine
from .errors import InputError

T = TypeVar("T")
APP_VARIABLE = "COREMACHINE_APP"


class AppError(InputError):
    """MODULE:NAME was not found, or names something that cannot be used here."""


@dataclass(frozen=True)
class Declarations:
    """Jobs and records of a module; `app` is the application that declares them, if the module has one."""

    jobs: tuple[Job, ...] = ()
    records: tuple[Record, ...] = ()
    app: AsyncCoreMachine | None = None


def load(reference: str | None) -> Declarations:
    """The jobs and records that `reference` names; none if it is None.

    It is MODULE or MODULE:NAME; MODULE is an importable name or the path of a .py file. NAME is a Job, an application,
    or a list of Jobs. Without NAME, every Job and Record of the module is taken. A module without a Job gives its only
    application, or else the Jobs in its lists. Raises AppError.
    """
    if reference is None:
        return Declarations()
    thing = find(reference)
    if not isinstance(thing, ModuleType):
        return _declarations_of(thing, reference)
    values = list(vars(thing).values())
    jobs = _instances(Job, values)
    apps = _instances(CoreMachine, values) + _instances(AsyncCoreMachine, values)
    if not jobs and len(apps) == 1:
        return _declarations_of(apps[0], reference)
    if not jobs:
        listed = [_items(cast("object", value)) for value in values if isinstance(value, list | tuple | Mapping)]
        jobs = _instances(Job, [one for some in listed for one in some])
    return _checked(jobs, _own_records(values), reference)


def load_records(reference: str) -> tuple[Record, ...]:
    """The records that `reference` names: a Record, a list of them, a Schema, an application, or those of a module.

    Raises AppError.
    """
    thing = find(reference)
    if isinstance(thing, ModuleType):
        found: Iterable[object] = vars(thing).values()
    elif isinstance(thing, CoreMachine | AsyncCoreMachine):
        found = _declarations_of(thing, reference).records
    else:
        found = thing.records if isinstance(thing, Schema) else _items(thing)
    own = _own_records(found)
    if not own:
        raise AppError(reference, f"expected a Record, found {_type_name(thing)}")
    return tuple(own)


def find(reference: str) -> object:
    """The module, or the object in it, that MODULE or MODULE:NAME names. Raises AppError."""
    module_name, name = split(reference)
    found: object = import_target(module_name)
    for part in name.split(".") if name else ():
        if not hasattr(found, part):
            raise AppError(reference, f"{module_name} has no {name}")
        found = getattr(found, part)
    return found


def split(reference: str) -> tuple[str, str]:
    """MODULE and NAME of MODULE:NAME; NAME is empty if there is none."""
    module_name, colon, name = reference.rpartition(":")
    if not colon or "/" in name or "\\" in name:
        return reference, ""
    return module_name, name


def import_target(module_name: str) -> ModuleType:
    """The module of that name, or in that .py file, with the working directory on the path. Raises AppError."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return _from_file(Path(module_name)) if module_name.endswith(".py") else import_module(module_name)
    except AppError:
        raise
    except (Exception, SystemExit) as error:
        raise AppError(module_name, _import_failure(module_name, error)) from error


def _from_file(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise AppError(str(path), "file not found")
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) != str(path):
        raise AppError(str(path), f"another module named {path.stem} is already loaded; rename the file")
    if known is not None:
        return known
    # child processes, in which some handlers run, import the module by its name
    sys.path.insert(0, str(path.parent))
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise AppError(str(path), "not a Python file")
    module = sys.modules[path.stem] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _import_failure(module_name: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
        return f"module not found in {Path.cwd()} or among the installed packages"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    return f"cannot be imported: {type(error).__name__}: {error}{where}"


def _declarations_of(thing: object, reference: str) -> Declarations:
    if isinstance(thing, CoreMachine | AsyncCoreMachine):
        app = thing.async_app if isinstance(thing, CoreMachine) else thing
        return Declarations(tuple(app.jobs.values()), tuple(_own_records(app.schema.records)), app)
    listed = list(_items(thing))
    jobs = _instances(Job, listed)
    if len(jobs) < len(listed):
        raise AppError(reference, f"expected a Job, a list of Jobs or a CoreMachine, found {_type_name(thing)}")
    module = import_target(split(reference)[0])
    return _checked(jobs, _own_records(vars(module).values()), reference)


def _checked(jobs: list[Job], records: list[Record], reference: str) -> Declarations:
    if not jobs:
        raise AppError(reference, "no Job found; give MODULE:NAME of a Job, a list of Jobs or a CoreMachine")
    names = [job.name for job in jobs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise AppError(reference, f"more than one job is named {', '.join(twice)}; choose one with MODULE:NAME")
    return Declarations(tuple(jobs), tuple(records))


def _own_records(things: Iterable[object]) -> list[Record]:
    """The records among `things` that are the user's own."""
    return [record for record in _instances(Record, things) if record not in SCHEMA.records]


def _instances(kind: type[T], things: Iterable[object]) -> list[T]:
    """The instances of `kind` among `things`, each once."""
    found: list[T] = []
    for thing in things:
        if isinstance(thing, kind) and not any(thing is known for known in found):
            found.append(thing)
    return found


def _items(thing: object) -> Iterable[object]:
    if isinstance(thing, Mapping):
        return list(cast("Mapping[object, object]", thing).values())
    return list(cast("Iterable[object]", thing)) if isinstance(thing, list | tuple | set | frozenset) else [thing]


def _type_name(thing: object) -> str:
    return f"an object of type {type(thing).__name__}"
