"""Chains in files: JSON that says what its numbers mean, and SVG as large as the picture."""

import json
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernelwise.app import chains
from kernelwise.app.chains import Line
from kernelwise.errors import ArgumentError, FileError

SVG = "{http://www.w3.org/2000/svg}"


SQUARE = Line(np.array([0, 0, 2, 2]), np.array([0, 3, 3, 0]), closed=True)
SLOPE = Line(np.array([1.25, 2.5]), np.array([4.0, 4.123456789]), closed=False)
DOT = Line(np.array([7]), np.array([5]), closed=False)


def written(path: Path, *lines: Line, shape: tuple[int, ...] = (8, 6)) -> str:
    chains.write(path, lines, shape, image="a <&> b.png", settings={"method": "canny", "sigma": 1.0})
    return path.read_text(encoding="utf-8")


def test_the_json_says_what_it_is_of_which_image_and_in_which_units(tmp_path: Path) -> None:
    found = json.loads(written(tmp_path / "chains.json", SQUARE, SLOPE, shape=(8, 6, 3)))
    assert list(found) == ["format", "version", "image", "edges", "units", "chains"]
    assert (found["format"], found["version"]) == (chains.FORMAT, chains.VERSION)
    assert found["image"] == {"name": "a <&> b.png", "height": 8, "width": 6}
    assert found["edges"] == {"method": "canny", "sigma": 1.0}
    assert "pixels" in found["units"]


def test_the_json_has_every_point_as_x_and_y_and_the_length_of_the_way(tmp_path: Path) -> None:
    square, slope, dot = json.loads(written(tmp_path / "chains.json", SQUARE, SLOPE, DOT))["chains"]
    assert square == {"closed": True, "length": 10.0, "points": [[0, 0], [3, 0], [3, 2], [0, 2]]}
    assert not slope["closed"]
    np.testing.assert_allclose(slope["points"], [[4.0, 1.25], [4.123456789, 2.5]], atol=0.5 * 10**-chains.DIGITS)
    assert slope["length"] == pytest.approx(math.hypot(1.25, 0.123456789), abs=1e-4)
    assert (dot["length"], dot["points"]) == (0.0, [[5, 7]])


def test_strength_and_direction_stand_beside_the_points_where_they_are_known(tmp_path: Path) -> None:
    known = replace(SLOPE, strength=np.array([9.0, 8.00001]), direction=np.array([0.5, math.pi]))
    square, slope = json.loads(written(tmp_path / "chains.json", SQUARE, known))["chains"]
    assert "strength" not in square and "direction" not in square
    assert slope["strength"] == [9, 8]
    assert slope["direction"] == [0.5, round(math.pi, chains.DIGITS)]
    assert len(slope["direction"]) == len(slope["strength"]) == len(slope["points"])


def test_the_svg_is_as_large_as_the_image_with_a_path_for_every_chain(tmp_path: Path) -> None:
    root = ElementTree.fromstring(written(tmp_path / "chains.svg", SQUARE, SLOPE, DOT, shape=(8, 6, 3)))
    assert (root.get("width"), root.get("height")) == ("6", "8")
    assert root.get("viewBox") == "-0.5 -0.5 6 8"  # the middle of the first pixel is at (0, 0)
    assert root.findtext(f"{SVG}title") == "Edges of a <&> b.png"
    drawn = [path.get("d") for path in root.iter(f"{SVG}path")]
    assert drawn == ["M0 0L3 0L3 2L0 2Z", "M4 1.25L4.1235 2.5", "M5 7L5 7"]
    page = root.find(f"{SVG}rect")
    assert page is not None and (page.get("width"), page.get("height")) == ("6", "8")


def test_no_chains_make_an_empty_list_and_an_empty_page(tmp_path: Path) -> None:
    assert json.loads(written(tmp_path / "none.json"))["chains"] == []
    root = ElementTree.fromstring(written(tmp_path / "none.svg"))
    assert not list(root.iter(f"{SVG}path"))


def test_another_suffix_or_place_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    for name in ("chains.txt", "chains"):
        with pytest.raises(ArgumentError, match=r"\.json or \.svg"):
            written(tmp_path / name, SQUARE)
    with pytest.raises(FileError, match="there is no folder"):
        written(tmp_path / "nowhere" / "chains.svg", SQUARE)
    assert not list(tmp_path.iterdir())


def test_a_number_that_json_has_not_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "chains.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="JSON"):
        written(path, Line(np.array([np.nan, 1.0]), np.array([0.0, 1.0]), closed=False))
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
