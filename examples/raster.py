"""An elevation raster: reading and checking it, the size of its cells on the ground, and its statistics.

Elevations are in metres; rows run from north to south, columns from west to east.
"""

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Elevations = npt.NDArray[np.float64]

# World Geodetic System 1984, defining parameters (NIMA TR8350.2, table 3.1).
WGS84_SEMI_MAJOR_AXIS = 6_378_137.0
WGS84_FLATTENING = 1 / 298.257223563

# Below the deepest trench or above the highest peak a value is a void marker (-32768) or in another unit.
LOWEST_METRES, HIGHEST_METRES = -11_000, 9_000

POLE = 90
MAP_AXES = 2

# Edges are given in rounded decimals, so that their distance is not exactly a whole number of cells.
EDGE_TOLERANCE_CELLS = 0.01


class RasterReadError(ValueError):
    """A raster, a window of it or a tile cannot be read. Carries `source`, what was read, and `problem`."""

    def __init__(self, source: str, problem: str) -> None:
        # Both go to the base class: an exception is pickled as its args, and may cross a process boundary.
        super().__init__(source, problem)
        self.source = source
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}"


@dataclass(frozen=True)
class Raster:
    """Elevations in metres, shape (rows, columns), and the outer edges and cell sizes in degrees."""

    source: str
    elevation: Elevations
    cell_width: float
    cell_height: float
    west: float
    east: float
    north: float
    south: float

    @property
    def rows(self) -> int:
        """Number of cells from north to south."""
        return len(self.elevation)

    @property
    def columns(self) -> int:
        """Number of cells from west to east."""
        return len(self.elevation[0])

    @property
    def cell_metres(self) -> tuple[float, float]:
        """Width and height of a cell in metres, at the latitude half-way between the northern and southern edge."""
        latitude_metres, longitude_metres = metres_per_degree((self.north + self.south) / 2)
        return self.cell_width * longitude_metres, self.cell_height * latitude_metres


def metres_per_degree(latitude: float) -> tuple[float, float]:
    """Length in metres of one degree of latitude and of longitude at `latitude` (degrees), on the WGS 84 ellipsoid.

    A degree is 1/180 π of the radius of curvature along the meridian, and of the radius of the parallel.
    """
    phi = math.radians(latitude)
    eccentricity_squared = WGS84_FLATTENING * (2 - WGS84_FLATTENING)
    flat = 1 - eccentricity_squared * math.sin(phi) ** 2
    meridian = WGS84_SEMI_MAJOR_AXIS * (1 - eccentricity_squared) / flat**1.5
    parallel = WGS84_SEMI_MAJOR_AXIS * math.cos(phi) / math.sqrt(flat)
    return math.radians(meridian), math.radians(parallel)


def read_raster(path: str | Path) -> Raster:
    """Read and check an `.npz` raster with the keys elevation, dx, dy, xmin, xmax, ymin, ymax.

    `ymin` is the outer edge of the first row and `ymax` that of the last, so that `ymin` is the northern one.
    Raises `RasterReadError` with the file and the problem.
    """
    source = str(path)
    arrays = _read_arrays(source)
    elevation = _entry(source, arrays, "elevation")
    dx, dy, west, east, north, south = (
        _number(source, arrays, key) for key in ("dx", "dy", "xmin", "xmax", "ymin", "ymax")
    )
    _check_elevation(source, elevation)
    rows, columns = elevation.shape
    _check_edges(source, ("xmin", west), ("xmax", east), ("dx", dx), columns)
    # Rows run from north to south, so that the latitude increases from ymax to ymin.
    _check_edges(source, ("ymax, the southern edge", south), ("ymin, the northern edge", north), ("dy", dy), rows)
    if abs(south) >= POLE or abs(north) >= POLE:
        raise RasterReadError(source, f"latitudes {south} to {north} are not between the poles")
    return Raster(source, elevation.astype(np.float64), dx, dy, west, east, north, south)


def _read_arrays(source: str) -> dict[str, npt.NDArray[Any]]:
    try:
        # Given a path, np.load leaves the file open if the archive is broken.
        with Path(source).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.lib.npyio.NpzFile):
                return {key: archive[key] for key in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise RasterReadError(source, f"cannot be read as an .npz archive: {error}") from error
    raise RasterReadError(source, "contains a single array; a raster is an .npz archive of named arrays")


def _entry(source: str, arrays: dict[str, npt.NDArray[Any]], key: str) -> npt.NDArray[Any]:
    if key not in arrays:
        raise RasterReadError(source, f"has no {key!r}; it contains {', '.join(sorted(arrays)) or 'nothing'}")
    return arrays[key]


def _number(source: str, arrays: dict[str, npt.NDArray[Any]], key: str) -> float:
    value = _entry(source, arrays, key)
    if value.shape != () or value.dtype.kind not in "iuf" or not np.isfinite(value):
        raise RasterReadError(source, f"{key!r} must be one finite number, not {value.dtype} of shape {value.shape}")
    return float(value)


def _check_elevation(source: str, elevation: npt.NDArray[Any]) -> None:
    if elevation.ndim != MAP_AXES or elevation.size == 0:
        raise RasterReadError(source, f"elevation must have the shape (rows, columns), not {elevation.shape}")
    if elevation.dtype.kind not in "iuf":
        raise RasterReadError(source, f"elevation must be integers or floats in metres, not {elevation.dtype}")
    if not np.isfinite(elevation).all():
        row, column = np.argwhere(~np.isfinite(elevation))[0]
        raise RasterReadError(source, f"elevation at row {row}, column {column} is {elevation[row, column]}")
    outside = (elevation < LOWEST_METRES) | (elevation > HIGHEST_METRES)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise RasterReadError(
            source,
            f"elevation at row {row}, column {column} is {elevation[row, column]}, outside "
            f"{LOWEST_METRES} to {HIGHEST_METRES} m: a void, or not in metres",
        )


def _check_edges(
    source: str, low: tuple[str, float], high: tuple[str, float], step: tuple[str, float], cells: int
) -> None:
    """Check that an axis increases, and that its edges are `cells` steps apart (except for rounding)."""
    if step[1] <= 0:
        raise RasterReadError(source, f"{step[0]} is {step[1]}: a cell must be larger than 0 degrees")
    if low[1] >= high[1]:
        raise RasterReadError(source, f"not increasing: {high[0]} is {high[1]}, but must be above {low[0]}, {low[1]}")
    if abs((high[1] - low[1]) / step[1] - cells) > EDGE_TOLERANCE_CELLS:
        raise RasterReadError(
            source, f"{low[0]} {low[1]} and {high[0]} {high[1]} are not {cells} cells of {step[0]} {step[1]} apart"
        )


def statistics(raster: Raster) -> dict[str, float]:
    """Lowest, highest and mean elevation in metres, and the size of a cell in degrees and in metres."""
    width_metres, height_metres = raster.cell_metres
    return {
        "minimum_metres": float(raster.elevation.min()),
        "maximum_metres": float(raster.elevation.max()),
        "mean_metres": float(raster.elevation.mean()),
        "cell_width_degrees": raster.cell_width,
        "cell_height_degrees": raster.cell_height,
        "cell_width_metres": width_metres,
        "cell_height_metres": height_metres,
    }
