"""The hillshade of a raster, window by window, and the mosaic of the tiles.

A window is shaded with a halo of one cell, so that the tiles fit together without a seam: the mosaic is bit for bit the
hillshade of the whole raster.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coremachine.examples.raster import Elevations, Raster, RasterReadError

Greys = npt.NDArray[np.uint8]

SUN_AZIMUTH = math.radians(315)
SUN_ALTITUDE = math.radians(45)


@dataclass(frozen=True)
class Window:
    """A rectangle of cells: its place in the order of windows, its upper left cell, its height and width in cells."""

    index: int
    row: int
    column: int
    height: int
    width: int


def tile_windows(rows: int, columns: int, size: int) -> list[Window]:
    """Cut rows by columns cells into windows of at most size by size, row by row; the last of an axis may be smaller.

    Raises `ValueError` if `size` is less than one cell.
    """
    if size < 1:
        raise ValueError(f"size is {size}: a window must be at least 1 cell wide")
    corners = [(row, column) for row in range(0, rows, size) for column in range(0, columns, size)]
    return [
        Window(index, row, column, min(size, rows - row), min(size, columns - column))
        for index, (row, column) in enumerate(corners)
    ]


def check_window(raster: Raster, window: Window) -> None:
    """Raise `RasterReadError` for a window that is empty or not completely inside the raster."""
    inside_rows = 0 <= window.row < window.row + window.height <= raster.rows
    inside_columns = 0 <= window.column < window.column + window.width <= raster.columns
    if not (inside_rows and inside_columns):
        raise RasterReadError(
            raster.source,
            f"window ({window.row}, {window.column}) of {window.height} by {window.width} cells "
            f"lies outside the raster of {raster.rows} by {raster.columns} cells",
        )


def with_halo(raster: Raster, window: Window) -> Elevations:
    """Elevations of a window and of the cells around it, shape (height + 2, width + 2), in metres.

    At the border of the raster the halo repeats the cells of the border. Raises `RasterReadError` for a window
    that `check_window` rejects.
    """
    check_window(raster, window)
    rows = np.arange(window.row - 1, window.row + window.height + 1).clip(0, raster.rows - 1)
    columns = np.arange(window.column - 1, window.column + window.width + 1).clip(0, raster.columns - 1)
    around: Elevations = raster.elevation[np.ix_(rows, columns)]
    return around


def illumination(elevation: Elevations, cell_metres: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Light on each inner cell, from 0 (turned away from the sun) to 1.

    Takes elevations in metres with a halo, shape (rows + 2, columns + 2), and returns the shape (rows, columns).

    The slopes are those of Horn (1981, "Hill shading and the reflectance map", Proceedings of the IEEE 69): the
    differences across the eight neighbours, the nearest counted twice. The light is the cosine of the angle between
    the surface's normal and the sun, at 315° azimuth (clockwise from north) and 45° altitude.
    """
    width, height = cell_metres
    north, middle, south = elevation[:-2], elevation[1:-1], elevation[2:]
    columns = north + 2 * middle + south
    rows = elevation[:, :-2] + 2 * elevation[:, 1:-1] + elevation[:, 2:]
    eastward = (columns[:, 2:] - columns[:, :-2]) / (8 * width)
    northward = (rows[:-2] - rows[2:]) / (8 * height)
    # Only +, -, *, / and sqrt are applied to the arrays: they are rounded correctly, so that a cell gets the same bits
    # in any window. numpy's sin and arctan may round differently in the vectorised part of an array than in its tail.
    to_east = math.cos(SUN_ALTITUDE) * math.sin(SUN_AZIMUTH)
    to_north = math.cos(SUN_ALTITUDE) * math.cos(SUN_AZIMUTH)
    facing = math.sin(SUN_ALTITUDE) - to_east * eastward - to_north * northward
    return np.maximum(facing / np.sqrt(1 + eastward * eastward + northward * northward), 0.0)


def hillshade(raster: Raster, window: Window) -> Greys:
    """Shade a window: greys from 0 to 255, shape (height, width). Level ground has 180.

    The cell size is that of the whole raster, not of the window, so that neighbouring windows agree. Raises
    `RasterReadError` for a window outside the raster.
    """
    light = illumination(with_halo(raster, window), raster.cell_metres)
    return np.rint(255 * light).astype(np.uint8)


def mosaic(tiles: Iterable[tuple[Window, Greys]], rows: int, columns: int) -> Greys:
    """Combine tiles into one image of shape (rows, columns).

    Raises `RasterReadError` if a tile does not have the shape of its window or does not fit the image, if two tiles
    overlap, or if cells are not covered.
    """
    image = np.zeros((rows, columns), dtype=np.uint8)
    covered = np.zeros((rows, columns), dtype=np.bool_)
    for window, tile in tiles:
        area = np.s_[window.row : window.row + window.height, window.column : window.column + window.width]
        name = f"tile {window.index} at ({window.row}, {window.column})"
        if tile.shape != (window.height, window.width) or image[area].shape != tile.shape:
            raise RasterReadError(name, f"shape {tile.shape} does not fit {window} in an image of {rows} by {columns}")
        if covered[area].any():
            raise RasterReadError(name, "overlaps an earlier tile")
        image[area], covered[area] = tile, True
    if not covered.all():
        row, column = np.argwhere(~covered)[0]
        raise RasterReadError("mosaic", f"no tile covers {np.sum(~covered)} cells, the first at ({row}, {column})")
    return image
