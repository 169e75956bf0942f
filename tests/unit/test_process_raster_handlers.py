"""The handlers of the demo's job, called as the plain functions that they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from coremachine import TaskContext
from coremachine.examples.hillshade import Window, hillshade
from coremachine.examples.process_raster import (
    DEM,
    check_raster,
    cut_windows,
    mosaic_tiles,
    process_raster,
    shade_window,
    summarise,
    tile_path,
)
from coremachine.examples.raster import RasterReadError, read_raster
from coremachine.statemachine.context import TaskCancelledError

RASTER = str(DEM)


def shaded(output: Path, size: int) -> list[dict[str, Any]]:
    return [shade_window(window, RASTER, str(output)) for window in cut_windows(RASTER, size)]


def pixels(png: str) -> npt.NDArray[np.uint8]:
    with Image.open(png) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("size", [100, 128, 1000])
def test_the_stages_in_order_write_the_hillshade_of_the_whole_raster(tmp_path: Path, size: int) -> None:
    result = mosaic_tiles(shaded(tmp_path / "shade.png", size), RASTER, TaskContext(), str(tmp_path / "shade.png"))
    assert result["png"] == str(tmp_path / "shade.png")
    assert np.array_equal(pixels(result["png"]), hillshade(read_raster(DEM), Window(0, 0, 0, 344, 403)))


def test_the_job_runs_four_stages_and_is_the_founding_one() -> None:
    assert process_raster.name == "process_raster_v2"
    assert [stage.name for stage in process_raster.stages] == ["check", "windows", "hillshade", "mosaic"]


def test_the_check_returns_the_facts_of_the_raster() -> None:
    facts = check_raster(RASTER)
    assert (facts["rows"], facts["columns"]) == (344, 403)
    assert facts["west"] < facts["east"]
    assert facts["south"] < facts["north"]


def test_the_check_refuses_a_missing_raster_by_name(tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match=r"nowhere\.npz: cannot be read"):
        check_raster(str(tmp_path / "nowhere.npz"))


def test_windows_are_numbered_in_order() -> None:
    windows = cut_windows(RASTER)
    assert [window["index"] for window in windows] == list(range(12))
    assert windows[5] == {"index": 5, "row": 128, "column": 128, "height": 128, "width": 128}


def test_a_window_that_is_to_fail_lies_outside_the_raster_and_is_refused_there(tmp_path: Path) -> None:
    sound, spoiled = cut_windows(RASTER), cut_windows(RASTER, fail_window=5)
    assert [index for index in range(12) if sound[index] != spoiled[index]] == [5]
    with pytest.raises(RasterReadError, match=r"window \(472, 531\) of 128 by 128 cells lies outside the raster"):
        shade_window(spoiled[5], RASTER, str(tmp_path / "shade.png"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fail_window", [12, -2])
def test_a_failure_asked_of_no_window_is_refused(fail_window: int) -> None:
    with pytest.raises(ValueError, match=f"fail_window is {fail_window}; it must be 0 to 11"):
        cut_windows(RASTER, fail_window=fail_window)


def test_a_mosaic_with_a_lost_tile_is_refused_by_name(tmp_path: Path) -> None:
    output = tmp_path / "shade.png"
    tiles = shaded(output, 256)
    Path(tiles[2]["tile"]).unlink()
    with pytest.raises(RasterReadError, match=r"00256-00000-88x256\.npy: cannot be read as a tile"):
        mosaic_tiles(tiles, RASTER, TaskContext(), str(output))
    assert not output.exists()


def test_a_mosaic_with_a_result_left_out_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "shade.png"
    with pytest.raises(RasterReadError, match=r"no tile covers 65536 cells, the first at \(0, 0\)"):
        mosaic_tiles(shaded(output, 256)[1:], RASTER, TaskContext(), str(output))


def test_the_mosaic_reports_every_tile_and_the_png(tmp_path: Path) -> None:
    heard: list[tuple[str, dict[str, object]]] = []
    context = TaskContext(emit=lambda kind, data: heard.append((kind, dict(data))))
    output = tmp_path / "shade.png"
    mosaic_tiles(shaded(output, 256), RASTER, context, str(output))
    assert heard == [
        *(("progress", {"done": done, "total": 4}) for done in range(1, 5)),
        ("checkpoint", {"name": "png written", "png": str(output)}),
    ]


def test_a_cancelled_mosaic_stops_before_it_writes(tmp_path: Path) -> None:
    context = TaskContext()
    context.ask_to_stop("the job was cancelled")
    output = tmp_path / "shade.png"
    with pytest.raises(TaskCancelledError, match="the job was cancelled"):
        mosaic_tiles(shaded(output, 256), RASTER, context, str(output))
    assert not output.exists()


def test_the_job_takes_a_raster_and_three_parameters_that_have_defaults() -> None:
    assert process_raster.check_parameters({"raster": "dem.npz"}) == {
        "raster": "dem.npz", "size": 128, "fail_window": -1, "output": "hillshade.png",
    }  # fmt: skip


def test_handlers_that_run_twice_write_the_same_files(tmp_path: Path) -> None:
    output = tmp_path / "shade.png"
    first = mosaic_tiles(shaded(output, 256), RASTER, TaskContext(), str(output))
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert mosaic_tiles(shaded(output, 256), RASTER, TaskContext(), str(output)) == first
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_every_result_is_a_small_json_value(tmp_path: Path) -> None:
    output = tmp_path / "shade.png"
    tiles = shaded(output, 128)
    result = mosaic_tiles(tiles, RASTER, TaskContext(), str(output))
    for value in [check_raster(RASTER), cut_windows(RASTER), *tiles, result, summarise(result)]:
        encoded = json.dumps(value, allow_nan=False)
        assert json.loads(encoded) == value
        assert len(encoded) < 2000


def test_tiles_stand_beside_the_output_one_for_each_window(tmp_path: Path) -> None:
    output = tmp_path / "shade.png"
    paths = {tile["tile"] for tile in shaded(output, 128)}
    assert len(paths) == 12
    assert {str(path) for path in (tmp_path / "shade.png.tiles").iterdir()} == paths
    assert str(tile_path(str(output), Window(0, 0, 0, 128, 128))) in paths


def test_the_finalizer_adds_a_line_for_people(tmp_path: Path) -> None:
    output = tmp_path / "shade.png"
    result = mosaic_tiles(shaded(output, 1000), RASTER, TaskContext(), str(output))
    assert summarise(result) == result | {
        "summary": "344 by 403 cells of 92.5 by 74.6 m, elevation 236 to 1076 m, mean 531 m"
    }
