"""Tiles and pictures on disk.

A task may run twice, even at the same time, so a file appears under its name completely or not at all.
"""

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from PIL import Image

from coremachine.examples.hillshade import Greys
from coremachine.examples.raster import RasterReadError


def write_png(path: Path, image: Greys) -> None:
    """Write greys of shape (rows, columns) as an 8-bit greyscale PNG."""
    _write_whole(path, lambda file: Image.fromarray(image).save(file, format="PNG"))


def write_tile(path: Path, tile: Greys) -> None:
    """Write a tile as `.npy`."""
    _write_whole(path, lambda file: np.save(file, tile, allow_pickle=False))


def read_tile(path: Path) -> Greys:
    """Read a tile that `write_tile` wrote. Raises `RasterReadError` if it is missing or is not a tile."""
    try:
        with path.open("rb") as file:
            tile: npt.NDArray[Any] = np.asarray(np.load(file, allow_pickle=False))
    except (OSError, EOFError, ValueError) as error:
        raise RasterReadError(str(path), f"cannot be read as a tile: {error}") from error
    if tile.dtype != np.uint8:
        raise RasterReadError(str(path), "is not a tile of 8-bit greys")
    return tile


def _write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with draft.open("xb") as file:
            write(file)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
