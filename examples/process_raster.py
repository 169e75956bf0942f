"""A real job on real data: the hillshade of an elevation model, in windows that are shaded in parallel.

    check the raster → cut windows → shade each window → mosaic: a PNG and statistics

Run it with `python examples/process_raster.py`. Every handler is a plain function of JSON values: rasters and tiles are
files, and only their paths and small values are passed from stage to stage. A handler may run twice, and then writes
the same files again; two jobs that run at the same time need two outputs.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coremachine import CoreMachine, Job, Stage, TaskContext, task
from coremachine.examples.hillshade import Greys, Window, hillshade, mosaic, tile_windows
from coremachine.examples.raster import read_raster, statistics
from coremachine.examples.tile_files import read_tile, write_png, write_tile

DEM = Path(__file__).resolve().parent / "data" / "jacksboro_fault_dem.npz"


@task
def check_raster(raster: str) -> dict[str, Any]:
    """Read the raster and return its path, shape and edges in degrees. Raises `RasterReadError` if it is invalid."""
    checked = read_raster(raster)
    return {
        "raster": checked.source,
        "rows": checked.rows,
        "columns": checked.columns,
        "west": checked.west,
        "east": checked.east,
        "south": checked.south,
        "north": checked.north,
    }


@task
def cut_windows(raster: str, size: int = 128, fail_window: int = -1) -> list[dict[str, int]]:
    """Return the windows of at most size by size cells: index, row, column, height and width of each.

    `fail_window` demonstrates a failure: the window with that index is moved outside the raster, so that shading it
    fails. -1 moves none. Raises `ValueError` if there is no such window.
    """
    whole = read_raster(raster)
    windows = [asdict(window) for window in tile_windows(whole.rows, whole.columns, size)]
    if not -1 <= fail_window < len(windows):
        raise ValueError(f"fail_window is {fail_window}; it must be 0 to {len(windows) - 1}, or -1 for none")
    if fail_window >= 0:
        windows[fail_window]["row"] += whole.rows
        windows[fail_window]["column"] += whole.columns
    return windows


@task(retries=1, timeout=60)
def shade_window(window: dict[str, int], raster: str, output: str = "hillshade.png") -> dict[str, Any]:
    """Shade one window, write its tile next to `output`, and return the tile's path, window and mean grey.

    Raises `RasterReadError` for a window outside the raster.
    """
    cut = Window(**window)
    tile = hillshade(read_raster(raster), cut)
    path = tile_path(output, cut)
    write_tile(path, tile)
    return {"window": window, "tile": str(path), "mean_grey": float(tile.mean())}


@task(timeout=60)
def mosaic_tiles(
    tiles: list[dict[str, Any]], raster: str, context: TaskContext, output: str = "hillshade.png"
) -> dict[str, Any]:
    """Combine the tiles into one PNG; return its path, its shape and the statistics of the raster.

    Reports every tile read and the PNG written to `context`, and stops between two tiles when it is cancelled.

    Raises `RasterReadError` if a tile is missing or the tiles do not cover the raster exactly once.
    """
    whole = read_raster(raster)
    image = mosaic(read_tiles(tiles, context), whole.rows, whole.columns)
    png = Path(output).resolve()
    write_png(png, image)
    context.checkpoint("png written", png=str(png))
    return {"png": str(png), "rows": whole.rows, "columns": whole.columns, "statistics": statistics(whole)}


def read_tiles(tiles: list[dict[str, Any]], context: TaskContext) -> Iterator[tuple[Window, Greys]]:
    """Read the tiles that `shade_window` wrote, in order, each with its window."""
    for done, tile in enumerate(tiles, start=1):
        context.raise_if_cancelled()
        yield Window(**tile["window"]), read_tile(Path(tile["tile"]))
        context.progress(done, len(tiles))


def tile_path(output: str, window: Window) -> Path:
    """Path of a window's tile, in a directory next to `output`. The tiles are kept: the mosaic may run again."""
    png = Path(output).resolve()
    name = f"{window.row:05d}-{window.column:05d}-{window.height}x{window.width}.npy"
    return png.with_name(f"{png.name}.tiles") / name


def summarise(result: dict[str, Any]) -> dict[str, Any]:
    """Add a readable line, `summary`, to the mosaic's result: it becomes the result of the job."""
    values = result["statistics"]
    summary = (
        f"{result['rows']} by {result['columns']} cells of "
        f"{values['cell_height_metres']:.1f} by {values['cell_width_metres']:.1f} m, elevation "
        f"{values['minimum_metres']:.0f} to {values['maximum_metres']:.0f} m, mean {values['mean_metres']:.0f} m"
    )
    return {**result, "summary": summary}


process_raster = Job(
    "process_raster_v2",
    [
        Stage("check", check_raster),
        Stage("windows", cut_windows),
        Stage("hillshade", shade_window, each="windows"),
        Stage("mosaic", mosaic_tiles, gather="hillshade"),
    ],
    finalize=summarise,
)


if __name__ == "__main__":
    app = CoreMachine(jobs=[process_raster])
    job = app.submit(process_raster, raster=str(DEM))
    app.work(until_idle=True)
    print(app.timeline(job.id))
