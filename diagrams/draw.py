"""DOT to a picture: by the `dot` program if it is installed, else by the Graphviz that pygraphviz bundles.

The bundled one runs in a child process as well. Graphviz is not thread-safe, writes warnings directly to standard
error, and a crash in it would otherwise end a worker or a web server.
"""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ..statemachine.errors import OperationError

Picture = Literal["svg", "png"]
PNG_DPI = "144"
TIME_LIMIT = 60
NO_FONT = 3


class DrawError(OperationError):
    """No picture could be drawn. Carries `picture_format`, `engine` and `reason`."""

    def __init__(self, picture_format: str, engine: str, reason: str) -> None:
        self.picture_format = picture_format
        self.engine = engine
        self.reason = reason
        super().__init__(f"cannot draw {picture_format} with {engine}: {reason}")


def draw(dot: str, picture_format: Picture) -> bytes:
    """Draw DOT source as the bytes of an SVG (UTF-8) or a PNG at 144 dots per inch.

    Raises DrawError if no Graphviz is found, or if it rejects the source.
    """
    engine, command = _command(picture_format)
    try:
        done = subprocess.run(  # noqa: S603  (the command is made here; the source goes to standard input)
            command,
            input=dot.encode(),
            capture_output=True,
            timeout=TIME_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DrawError(picture_format, engine, str(error)) from error
    if done.returncode == NO_FONT:
        raise DrawError(picture_format, engine, "no font is installed; install one (fonts-dejavu-core), or use svg")
    if done.returncode != 0 or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode} and no output"
        raise DrawError(picture_format, engine, reason)
    return done.stdout


def _command(picture_format: Picture) -> tuple[str, list[str]]:
    program = shutil.which("dot")
    if program:
        resolution = [f"-Gdpi={PNG_DPI}"] if picture_format == "png" else []
        return program, [program, f"-T{picture_format}", *resolution]
    if find_spec("pygraphviz") is None:
        reason = "neither the `dot` program nor pygraphviz is installed; pip install 'coremachine[diagrams]'"
        raise DrawError(picture_format, "Graphviz", reason)
    script = Path(__file__).with_name("bundled_graphviz.py")
    resolution = [PNG_DPI] if picture_format == "png" else []
    return "pygraphviz", [sys.executable, "-P", str(script), picture_format, *resolution]
