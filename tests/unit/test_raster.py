"""The raster of the demo: what is read and refused, its hillshade and mosaic, its cell size, its files."""

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from coremachine import examples
from coremachine.examples.hillshade import Window, hillshade, illumination, mosaic, tile_windows
from coremachine.examples.raster import Raster, RasterReadError, metres_per_degree, read_raster, statistics
from coremachine.examples.tile_files import read_tile, write_png, write_tile

DEM = Path(examples.__file__).parent / "data" / "jacksboro_fault_dem.npz"

Entries = dict[str, Any]


@pytest.fixture(scope="module")
def dem() -> Raster:
    return read_raster(DEM)


def corner(raster: Raster, rows: int, columns: int) -> Raster:
    """The rough country in the south-west, cut out: small enough for windows of one cell."""
    return replace(raster, elevation=raster.elevation[-rows:, :columns])


def in_one_piece(raster: Raster) -> npt.NDArray[np.float64]:
    """The light on the whole raster, padded by numpy and not by the code under test."""
    return illumination(np.pad(raster.elevation, 1, mode="edge"), raster.cell_metres)


def in_windows(raster: Raster, size: int) -> npt.NDArray[np.uint8]:
    windows = tile_windows(raster.rows, raster.columns, size)
    return mosaic(((window, hillshade(raster, window)) for window in windows), raster.rows, raster.columns)


# The mosaic equals the whole


@pytest.mark.parametrize("size", [43, 64, 128, 344, 403, 1000])
def test_the_mosaic_equals_the_hillshade_in_one_piece(dem: Raster, size: int) -> None:
    assert np.array_equal(in_windows(dem, size), np.rint(255 * in_one_piece(dem)).astype(np.uint8))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_mosaic_of_windows_of_a_few_cells_equals_the_hillshade_in_one_piece(dem: Raster, size: int) -> None:
    small = corner(dem, 23, 31)
    assert np.array_equal(in_windows(small, size), np.rint(255 * in_one_piece(small)).astype(np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_a_raster_one_cell_wide_has_a_hillshade(dem: Raster, shape: tuple[int, int]) -> None:
    assert in_windows(corner(dem, *shape), 4).shape == shape


def test_the_light_on_a_cell_has_the_same_bits_in_every_window(dem: Raster) -> None:
    small = corner(dem, 40, 50)
    padded = np.pad(small.elevation, 1, mode="edge")
    whole = in_one_piece(small)
    for window in tile_windows(small.rows, small.columns, 3):
        around = padded[window.row : window.row + window.height + 2, window.column : window.column + window.width + 2]
        there = whole[window.row : window.row + window.height, window.column : window.column + window.width]
        assert illumination(around, small.cell_metres).tobytes() == there.tobytes()


def test_windows_cover_every_cell_once_in_reading_order() -> None:
    windows = tile_windows(5, 7, 3)
    assert [(window.index, window.row, window.column) for window in windows] == [
        (0, 0, 0), (1, 0, 3), (2, 0, 6), (3, 3, 0), (4, 3, 3), (5, 3, 6),
    ]  # fmt: skip
    assert sum(window.height * window.width for window in windows) == 5 * 7


@pytest.mark.parametrize("size", [0, -1])
def test_a_window_of_no_cells_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="at least 1 cell"):
        tile_windows(5, 7, size)


@pytest.mark.parametrize(
    "window",
    [
        Window(0, 512, 768, 128, 128),
        Window(0, -1, 0, 10, 10),
        Window(0, 0, -1, 10, 10),
        Window(0, 340, 0, 5, 10),
        Window(0, 0, 400, 10, 4),
        Window(0, 0, 0, 0, 10),
    ],
)
def test_a_window_outside_the_raster_is_refused_by_name(dem: Raster, window: Window) -> None:
    with pytest.raises(RasterReadError) as refused:
        hillshade(dem, window)
    assert f"window ({window.row}, {window.column}) of {window.height} by {window.width} cells" in str(refused.value)
    assert "outside the raster of 344 by 403 cells" in str(refused.value)


def grey(rows: int, columns: int) -> npt.NDArray[np.uint8]:
    return np.full((rows, columns), 7, dtype=np.uint8)


@pytest.mark.parametrize(
    ("tiles", "problem"),
    [
        ([(Window(0, 0, 0, 2, 2), grey(2, 2))], r"no tile covers 2 cells, the first at \(0, 2\)"),
        ([(Window(0, 0, 0, 2, 3), grey(2, 3)), (Window(1, 0, 2, 2, 1), grey(2, 1))], "tile 1 .* overlaps"),
        ([(Window(0, 0, 0, 2, 3), grey(2, 2))], "tile 0 .* does not fit"),
        ([(Window(0, 0, 1, 2, 3), grey(2, 3))], "tile 0 .* does not fit"),
    ],
    ids=["hole", "overlap", "wrong shape", "beyond the edge"],
)
def test_tiles_that_do_not_cover_the_image_exactly_once_are_refused(
    tiles: list[tuple[Window, npt.NDArray[np.uint8]]], problem: str
) -> None:
    with pytest.raises(RasterReadError, match=problem):
        mosaic(tiles, 2, 3)


# Known values

# The sun is at azimuth 315°, altitude 45°: in the direction (east, north, up) = (-1/2, 1/2, 1/√2). A plane that
# rises by 1 in 1 to the east has the normal (-1, 0, 1)/√2, so its light is (1/2 + 1/√2)/√2 = (1 + √2)/(2 √2).
TOWARDS, AWAY = (1 + math.sqrt(2)) / (2 * math.sqrt(2)), (math.sqrt(2) - 1) / (2 * math.sqrt(2))
DIAGONAL = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("to_east", "to_north", "light"),
    [
        pytest.param(0, 0, math.sqrt(0.5), id="level"),
        pytest.param(1, 0, TOWARDS, id="faces west"),
        pytest.param(-1, 0, AWAY, id="faces east"),
        pytest.param(0, -1, TOWARDS, id="faces north"),
        pytest.param(0, 1, AWAY, id="faces south"),
        pytest.param(DIAGONAL, -DIAGONAL, 1, id="faces the sun"),
        pytest.param(-2, 2, 0, id="steeper than the sun, in its own shade"),
    ],
)
def test_a_tilted_plane_has_the_light_computed_by_hand(to_east: float, to_north: float, light: float) -> None:
    width, height = 30.0, 50.0
    rows, columns = np.mgrid[0:6, 0:8]
    plane = to_east * width * columns - to_north * height * rows
    assert illumination(plane, (width, height)) == pytest.approx(np.full((4, 6), light), abs=1e-12)


def test_horns_weights_count_the_nearest_neighbours_twice() -> None:
    # Only the neighbour to the east is raised, by 4: (2 x 4) / (8 x 1) = 1 in 1 to the east, and nothing to the north.
    raised = np.array([[0.0, 0, 0], [0, 0, 4], [0, 0, 0]])
    assert illumination(raised, (1.0, 1.0)) == pytest.approx(TOWARDS)
    # Only the neighbour to the north-east, by 8: 1 in 1 to the east and 1 in 1 to the north, the normal (-1, -1, 1)/√3.
    raised = np.array([[0.0, 0, 8], [0, 0, 0], [0, 0, 0]])
    assert illumination(raised, (1.0, 1.0)) == pytest.approx(math.sqrt(0.5) / math.sqrt(3))


def test_level_ground_is_grey_180(dem: Raster) -> None:
    level = replace(dem, elevation=np.full((4, 4), 500.0))
    assert (hillshade(level, Window(0, 0, 0, 4, 4)) == 180).all()


@pytest.mark.parametrize(
    ("latitude", "latitude_km", "longitude_km"),
    [
        (0, 110.574, 111.320),
        (30, 110.852, 96.486),
        (45, 111.132, 78.847),
        (60, 111.412, 55.800),
        (75, 111.618, 28.902),
        (-45, 111.132, 78.847),
    ],
)
def test_a_degree_has_its_published_length(latitude: float, latitude_km: float, longitude_km: float) -> None:
    # The table for WGS 84 in "Longitude", section "Length of a degree of longitude", Wikipedia.
    assert metres_per_degree(latitude) == pytest.approx((latitude_km * 1000, longitude_km * 1000), abs=0.51)


def test_a_degree_at_the_latitude_of_the_sample_agrees_with_the_published_series() -> None:
    # The series for WGS 84 in "Geographic coordinate system", section "Length of a degree", Wikipedia.
    phi = math.radians(36.6)
    series = (
        111132.92 - 559.82 * math.cos(2 * phi) + 1.175 * math.cos(4 * phi) - 0.0023 * math.cos(6 * phi),
        111412.84 * math.cos(phi) - 93.5 * math.cos(3 * phi) + 0.118 * math.cos(5 * phi),
    )
    assert metres_per_degree(36.6) == pytest.approx(series, abs=0.1)


def test_the_statistics_of_the_sample_are_in_metres_and_degrees(dem: Raster) -> None:
    assert statistics(dem) == pytest.approx(
        {
            "minimum_metres": 236,
            "maximum_metres": 1076,
            "mean_metres": 531.0312,
            "cell_width_degrees": 1 / 1200,
            "cell_height_degrees": 1 / 1200,
            "cell_width_metres": 74.573,
            "cell_height_metres": 92.475,
        },
        rel=1e-5,
    )


# Reading and refusing


def test_the_sample_is_read_with_its_edges(dem: Raster) -> None:
    assert (dem.rows, dem.columns) == (344, 403)
    assert (dem.west, dem.east) == pytest.approx((-84.41375, -84.07791667))
    assert (dem.south, dem.north) == pytest.approx((36.44625, 36.73291667))


def good() -> Entries:
    """The entries of a raster of 2 by 3 cells at 45° N."""
    elevation = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int16)
    return {"elevation": elevation, "dx": 0.1, "dy": 0.2, "xmin": 7.0, "xmax": 7.3, "ymin": 45.2, "ymax": 44.8}


def written(path: Path, entries: Entries) -> Path:
    np.savez(path, allow_pickle=True, **entries)
    return path


def test_a_small_raster_is_read(tmp_path: Path) -> None:
    raster = read_raster(written(tmp_path / "good.npz", good()))
    assert raster.elevation.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert raster.cell_metres == pytest.approx((7884.7, 22226.4), abs=0.1)


@pytest.mark.parametrize("key", sorted(good()))
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    entries = good()
    del entries[key]
    with pytest.raises(RasterReadError, match=rf"bad\.npz: has no '{key}'; it contains ") as refused:
        read_raster(written(tmp_path / "bad.npz", entries))
    assert refused.value.source.endswith("bad.npz")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"elevation": np.zeros(6)}, r"shape \(rows, columns\), not \(6,\)", id="one axis"),
        pytest.param({"elevation": np.zeros((2, 0))}, r"shape \(rows, columns\), not \(2, 0\)", id="no cells"),
        pytest.param({"elevation": np.zeros((3, 3))}, "are not 3 cells of dy 0.2 apart", id="rows that do not fit"),
        pytest.param({"elevation": np.zeros((2, 4))}, "are not 4 cells of dx 0.1 apart", id="columns that do not fit"),
        pytest.param({"elevation": np.array([[1, 2, 3], [4, np.nan, 6]])}, "row 1, column 1 is nan", id="NaN"),
        pytest.param({"elevation": np.array([[1, 2, np.inf], [4, 5, 6]])}, "row 0, column 2 is inf", id="infinity"),
        pytest.param({"elevation": np.array([[1, 2, 3], [4, 5, -32768]])}, "row 1, column 2 is -32768", id="void"),
        pytest.param({"elevation": np.zeros((2, 3), dtype=np.complex128)}, "not complex128", id="complex"),
        pytest.param({"elevation": np.array([["a"] * 3] * 2)}, "integers or floats", id="text"),
        pytest.param({"elevation": np.array([[None] * 3] * 2)}, "cannot be read", id="pickled objects"),
        pytest.param({"dx": 0.0}, "dx is 0.0: a cell must be larger than 0", id="no width"),
        pytest.param({"dy": -0.2}, "dy is -0.2: a cell must be larger than 0", id="negative height"),
        pytest.param({"dx": np.nan}, "'dx' must be one finite number", id="width NaN"),
        pytest.param({"xmin": [7.0, 7.1]}, "'xmin' must be one finite number", id="two numbers"),
        pytest.param({"dx": True}, "'dx' must be one finite number", id="a truth value"),
        pytest.param({"xmin": 7.3, "xmax": 7.0}, "not increasing: xmax is 7.0", id="west of itself"),
        pytest.param({"ymin": 44.8, "ymax": 45.2}, "not increasing: ymin, the northern edge", id="south up"),
        pytest.param({"ymin": 90.2, "ymax": 89.8}, "between the poles", id="beyond the pole"),
    ],
)
def test_a_bad_raster_is_refused_and_says_why(tmp_path: Path, change: Entries, problem: str) -> None:
    with pytest.raises(RasterReadError, match=problem):
        read_raster(written(tmp_path / "bad.npz", good() | change))


def missing(path: Path) -> None:
    assert not path.exists()


def text(path: Path) -> None:
    path.write_text("elevation 1 2 3\n", encoding="utf-8")


def nothing(path: Path) -> None:
    path.touch()


def truncated(path: Path) -> None:
    path.write_bytes(DEM.read_bytes()[:100_000])


def scribbled_over(path: Path) -> None:
    content = bytearray(DEM.read_bytes())
    content[50_000:50_100] = bytes(100)
    path.write_bytes(content)


def bare_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 3)))


@pytest.mark.parametrize("make", [missing, text, nothing, truncated, scribbled_over, bare_array])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "broken.npz"
    make(path)
    with pytest.raises(RasterReadError, match=r"broken\.npz: "):
        read_raster(path)


def test_the_error_crosses_a_process_boundary_whole() -> None:
    copy = pickle.loads(pickle.dumps(RasterReadError("dem.npz", "has no 'dx'")))  # noqa: S301 - our own bytes
    assert (copy.source, copy.problem, str(copy)) == ("dem.npz", "has no 'dx'", "dem.npz: has no 'dx'")


# Files


def test_a_png_gives_back_the_greys_that_were_written(dem: Raster, tmp_path: Path) -> None:
    image = in_windows(dem, 128)
    write_png(tmp_path / "new" / "picture.png", image)
    with Image.open(tmp_path / "new" / "picture.png") as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (403, 344))
        assert np.array_equal(np.asarray(picture), image)


def test_a_tile_gives_back_the_greys_that_were_written(tmp_path: Path) -> None:
    write_tile(tmp_path / "tile.npy", grey(3, 5))
    write_tile(tmp_path / "tile.npy", grey(2, 5))
    assert np.array_equal(read_tile(tmp_path / "tile.npy"), grey(2, 5))


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    write_png(tmp_path / "picture.png", grey(2, 2))
    before = (tmp_path / "picture.png").read_bytes()
    with pytest.raises((TypeError, ValueError)):
        write_png(tmp_path / "picture.png", np.zeros((2, 2, 2, 2), dtype=np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    assert (tmp_path / "picture.png").read_bytes() == before


@pytest.mark.parametrize("make", [missing, text, nothing, bare_array])
def test_a_file_that_is_no_tile_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "tile.npy")
    with pytest.raises(RasterReadError, match=r"tile\.npy: "):
        read_tile(tmp_path / "tile.npy")
