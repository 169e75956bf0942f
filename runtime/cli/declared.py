"""What `--app` and the like name: jobs, records and applications, found in a module."""

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
    """What a name like MODULE:NAME stands for was not found, or is nothing that can be used."""


@dataclass(frozen=True)
class Declared:
    """Jobs and records of a module; `app` is the application that declares them, where the module has one."""

    jobs: tuple[Job, ...] = ()
    records: tuple[Record, ...] = ()
    app: AsyncCoreMachine | None = None


def load(reference: str | None) -> Declared:
    """The jobs and records that `reference` names; none where it is None.

    It is MODULE or MODULE:NAME, MODULE an importable name or the path of a .py file. NAME is a Job, an application, or
    a list of Jobs; without it every Job and Record of the module is taken, where it holds no Job its only
    application, and where it has none either the Jobs in its lists. Raises AppError.
    """
    if reference is None:
        return Declared()
    thing = find(reference)
    if not isinstance(thing, ModuleType):
        return _declared(thing, reference)
    values = list(vars(thing).values())
    jobs = _only(Job, values)
    apps = _only(CoreMachine, values) + _only(AsyncCoreMachine, values)
    if not jobs and len(apps) == 1:
        return _declared(apps[0], reference)
    if not jobs:
        listed = [_listed(cast("object", value)) for value in values if isinstance(value, list | tuple | Mapping)]
        jobs = _only(Job, [one for some in listed for one in some])
    records = [record for record in _only(Record, values) if record not in SCHEMA.records]
    return _checked(jobs, records, reference)


def records_of(reference: str) -> tuple[Record, ...]:
    """The records that `reference` names: a Record, a list of them, a Schema, an application, or a module's own.

    Raises AppError.
    """
    thing = find(reference)
    if isinstance(thing, ModuleType):
        found: list[Record] = _only(Record, vars(thing).values())
    elif isinstance(thing, CoreMachine | AsyncCoreMachine):
        found = list(_declared(thing, reference).records)
    else:
        found = _only(Record, thing.records if isinstance(thing, Schema) else _listed(thing))
    own = tuple(record for record in found if record not in SCHEMA.records)
    if not own:
        raise AppError(reference, f"no Record there, but {_kind(thing)}")
    return own


def find(reference: str) -> object:
    """The module, or the object in it, that MODULE or MODULE:NAME names. Raises AppError."""
    place, name = split(reference)
    module: object = imported(place)
    for part in name.split(".") if name else ():
        if not hasattr(module, part):
            raise AppError(reference, f"{place} has no {name}")
        module = getattr(module, part)
    return module


def split(reference: str) -> tuple[str, str]:
    """MODULE and NAME of MODULE:NAME; NAME is empty where there is none."""
    place, colon, name = reference.rpartition(":")
    if not colon or "/" in name or "\\" in name:
        return reference, ""
    return place, name


def imported(place: str) -> ModuleType:
    """The module of that name, or in that .py file, with the working directory on the path. Raises AppError."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return _from_file(Path(place)) if place.endswith(".py") else import_module(place)
    except AppError:
        raise
    except (Exception, SystemExit) as error:
        raise AppError(place, _why_not(place, error)) from error


def _from_file(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise AppError(str(path), "there is no such file")
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) != str(path):
        raise AppError(str(path), f"another module is called {path.stem} already; rename the file")
    if known is not None:
        return known
    # child processes, in which some handlers run, import the module by its name
    sys.path.insert(0, str(path.parent))
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise AppError(str(path), "this is no Python file")
    module = sys.modules[path.stem] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _why_not(place: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
        return f"there is no such module, looked for from {Path.cwd()} and in the installed packages"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    return f"it cannot be imported: {type(error).__name__}: {error}{where}"


def _declared(thing: object, reference: str) -> Declared:
    if isinstance(thing, CoreMachine | AsyncCoreMachine):
        app = thing.aio if isinstance(thing, CoreMachine) else thing
        own = tuple(record for record in app.schema.records if record not in SCHEMA.records)
        return Declared(tuple(app.jobs.values()), own, app)
    listed = list(_listed(thing))
    jobs = _only(Job, listed)
    if len(jobs) < len(listed):
        raise AppError(reference, f"{_kind(thing)} is neither a Job, nor a list of Jobs, nor a CoreMachine")
    module = imported(split(reference)[0])
    records = [record for record in _only(Record, vars(module).values()) if record not in SCHEMA.records]
    return _checked(jobs, records, reference)


def _checked(jobs: list[Job], records: list[Record], reference: str) -> Declared:
    if not jobs:
        raise AppError(reference, "no Job there; give MODULE:NAME of a Job, a list of Jobs or a CoreMachine")
    names = [job.name for job in jobs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise AppError(reference, f"two jobs are called {', '.join(twice)}; give MODULE:NAME of the one meant")
    return Declared(tuple(jobs), tuple(records))


def _only(kind: type[T], things: Iterable[object]) -> list[T]:
    """Those of `things` that are of this kind, each once."""
    found: list[T] = []
    for thing in things:
        if isinstance(thing, kind) and not any(thing is known for known in found):
            found.append(thing)
    return found


def _listed(thing: object) -> Iterable[object]:
    if isinstance(thing, Mapping):
        return list(cast("Mapping[object, object]", thing).values())
    return list(cast("Iterable[object]", thing)) if isinstance(thing, list | tuple | set | frozenset) else [thing]


def _kind(thing: object) -> str:
    return f"a {type(thing).__name__}"
