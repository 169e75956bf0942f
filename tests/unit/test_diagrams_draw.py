import os
import stat
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from coremachine.diagrams import DrawError, lifecycle_graph
from coremachine.diagrams import draw as draw_module
from coremachine.diagrams.dot import to_dot
from coremachine.diagrams.draw import draw
from coremachine.statemachine.lifecycles import TASK

DOT = to_dot(lifecycle_graph(TASK))
NO_FONTS = '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig></fontconfig>'


@pytest.fixture
def no_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put_dot(directory: Path, script: str) -> None:
    program = directory / "dot"
    program.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.usefixtures("no_dot")
def test_svg_is_drawn_with_no_dot_on_path() -> None:
    svg = ET.fromstring(draw(DOT, "svg"))  # noqa: S314  (drawn here)
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert {"processing", "claim", "task_started"} <= {text.text for text in svg.iter(f"{{{svg.tag[1:-4]}}}text")}


@pytest.mark.usefixtures("no_dot")
def test_png_is_drawn_with_no_dot_on_path_large_enough_for_print() -> None:
    try:
        png = draw(DOT, "png")
    except DrawError as error:
        if "no font" in error.reason:
            pytest.skip("no font is installed on this machine")
        raise
    assert png.startswith(b"\x89PNG\r\n")
    assert struct.unpack(">I", png[16:20])[0] > 1_000


@pytest.mark.skipif(sys.platform != "linux", reason="fonts are found by fontconfig on Linux")
@pytest.mark.usefixtures("no_dot")
def test_without_fonts_a_png_of_empty_boxes_is_refused_and_svg_still_drawn(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "fonts.conf").write_text(NO_FONTS)
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    with pytest.raises(DrawError, match="no font is installed; install one"):
        draw(DOT, "png")
    assert b"lease_expires_at" in draw(DOT, "svg")


def test_the_dot_program_is_preferred_where_there_is_one(no_dot: Path) -> None:
    put_dot(no_dot, "print(*sys.argv[1:], len(sys.stdin.read()))")
    assert draw(DOT, "svg").split() == [b"-Tsvg", str(len(DOT)).encode()]
    assert draw(DOT, "png").split() == [b"-Tpng", b"-Gdpi=144", str(len(DOT)).encode()]


def test_the_error_has_the_output_of_dot(no_dot: Path) -> None:
    put_dot(no_dot, "sys.exit('Format: svg not recognized')")
    with pytest.raises(DrawError, match="not recognized") as caught:
        draw(DOT, "svg")
    assert (caught.value.picture_format, caught.value.engine) == ("svg", str(no_dot / "dot"))


def test_a_dot_that_writes_nothing_is_a_failure(no_dot: Path) -> None:
    put_dot(no_dot, "")
    with pytest.raises(DrawError, match="exit code 0 and no output"):
        draw(DOT, "svg")


@pytest.mark.usefixtures("no_dot")
def test_source_that_is_no_dot_is_refused() -> None:
    with pytest.raises(DrawError, match="with pygraphviz"):
        draw("digraph {", "svg")


@pytest.mark.usefixtures("no_dot")
def test_where_no_graphviz_is_found_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_name: str) -> None: ...

    monkeypatch.setattr(draw_module, "find_spec", find_nothing)
    with pytest.raises(DrawError, match=r"pip install 'coremachine\[diagrams\]'"):
        draw(DOT, "svg")


def test_importing_the_package_loads_no_graphviz_library() -> None:
    code = "import sys, coremachine.diagrams; sys.exit('pygraphviz' in sys.modules)"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
