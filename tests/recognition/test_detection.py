"""Lines of text in a map: against rectangles that were drawn, and every angle tried."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from unisem.recognition import detection
from unisem.recognition.detection import Map, Rectangle, lines_in, rectangles


def drawn(size: tuple[int, int], middle: tuple[float, float], sides: tuple[float, float],
          degrees: float) -> Map:  # fmt: skip
    """A map with one rectangle, whose direction is turned clockwise."""
    dx, dy = cos(degrees * pi / 180), sin(degrees * pi / 180)
    y, x = np.indices(size[::-1], dtype=np.float32)
    x, y = x - middle[0], y - middle[1]
    holds = (abs(x * dx + y * dy) <= sides[0] / 2) & (abs(y * dx - x * dy) <= sides[1] / 2)
    return holds.astype(np.float32)


@pytest.mark.parametrize("degrees", [0, 2, -7, 30, -44, 88, 90, 93])
def test_a_drawn_line_is_found_and_widened_by_the_formula(degrees: float) -> None:
    width, height = 120.0, 16.0
    (found,) = rectangles(drawn((300, 300), (150.0, 140.0), (width, height), degrees))
    more = 2 * 1.6 * width * height / (2 * (width + height))
    assert (found.x, found.y) == pytest.approx((150, 140), abs=1)
    assert (found.width, found.height) == pytest.approx((width + more, height + more), abs=3)
    turn = degrees if abs(degrees) <= 45 else degrees - 180  # what goes up or down is read upwards
    assert found.along == pytest.approx((cos(turn * pi / 180), sin(turn * pi / 180)), abs=0.02)
    assert found.is_upright == (abs(degrees) > 45)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_angle_gives_a_smaller_rectangle(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(40, 2)) * (60, 8)
    best = detection._least(detection._hull(points))
    areas = []
    for angle in np.linspace(0, pi / 2, 3_601):
        u = points @ (cos(angle), sin(angle))
        v = points @ (-sin(angle), cos(angle))
        areas.append(np.ptp(u) * np.ptp(v))
    assert best.width * best.height == pytest.approx(min(areas), rel=2e-3)
    assert best.width * best.height <= min(areas) * (1 + 1e-9)


def test_what_is_faint_or_tiny_is_no_line() -> None:
    line = drawn((200, 80), (100, 40), (100, 12), 0)
    assert len(rectangles(line * 0.45)) == 0
    assert len(rectangles(line * 0.55)) == 1
    assert rectangles(drawn((200, 80), (100, 40), (2, 2), 0)) == []
    assert rectangles(np.zeros((5, 5), np.float32)) == []


def test_frames_around_each_other_do_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    side, looked_at = 1_600, 0
    y, x = np.indices((side, side))
    ring = np.minimum(np.minimum(x, y), side - 1 - np.maximum(x, y))
    inside = detection._ends

    def counted(part: NDArray[np.bool_]) -> NDArray[np.float64]:
        nonlocal looked_at
        looked_at += part.size
        return inside(part)

    monkeypatch.setattr(detection, "_ends", counted)
    rectangles((ring % 4 < 2).astype(np.float32))
    assert 0 < looked_at <= 8 * side * side


def test_a_picture_has_so_many_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "_MOST", 3)
    rows = np.zeros((400, 200), np.float32)
    for row in range(10):
        rows[20 + 35 * row : 30 + 35 * row, 20:180] = 1
    assert len(rectangles(rows)) == 3


@pytest.mark.parametrize("size", [(300, 5_000), (3_000, 700), (1_280, 1_281), (40, 40)])
def test_tiles_make_one_map(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that looks 20 pixels around gives the same map whole and in tiles."""
    from scipy.ndimage import uniform_filter

    noise = np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), np.uint8)
    picture = Image.fromarray(noise)
    seen: list[tuple[int, ...]] = []

    def network(pixels: Map) -> Map:
        seen.append(pixels.shape)
        return uniform_filter(pixels[:, :1], (1, 1, 41, 41), mode="nearest")

    tiled = detection._map(picture, network)
    assert max(max(shape[2:]) for shape in seen) <= detection.TILE
    monkeypatch.setattr(detection, "TILE", 8_192)
    whole = detection._map(picture, network)
    assert tiled.shape == whole.shape == size[::-1]
    np.testing.assert_allclose(tiled, whole, atol=1e-3)


def test_places_are_those_of_the_whole_picture() -> None:
    """Dark is text: a picture of three times the size is scaled, and its places scaled back."""
    picture = Image.new("RGB", (6_000, 3_840), "white")
    ImageDraw.Draw(picture).rectangle((600, 900, 1_800, 1_020), fill="black")

    def network(pixels: Map) -> Map:
        assert max(pixels.shape[2:]) <= detection.TILE
        return (pixels[:, :1] < 0).astype(np.float32)

    (found,) = lines_in(picture, network)
    assert (found.x, found.y) == pytest.approx((1_200, 960), abs=3)
    left, top, right, bottom = found.box
    assert 400 < left < 600
    assert 1_800 < right < 2_000
    assert 700 < top < 900
    assert 1_020 < bottom < 1_220


def test_the_longest_picture_is_scaled_to_what_is_looked_at() -> None:
    looked_at = 0

    def network(pixels: Map) -> Map:
        nonlocal looked_at
        looked_at += pixels.shape[2] * pixels.shape[3]
        return np.zeros_like(pixels[:, :1])

    assert lines_in(Image.new("RGB", (1_280, 60_000)), network) == []
    assert looked_at < 1.3 * detection.LENGTH * detection.LENGTH * 1_280 / 60_000


@pytest.mark.parametrize("degrees", [0, 25, 270])
def test_what_is_cut_out_is_the_line(degrees: float) -> None:
    """A white bar whose beginning is red comes out upright, red first."""
    bar = Image.new("RGB", (120, 20), "white")
    ImageDraw.Draw(bar).rectangle((0, 0, 29, 19), fill="red")
    picture = Image.new("RGB", (400, 400), "black")
    picture.paste(bar, (140, 190))
    turned = picture.rotate(-degrees, resample=Image.Resampling.BICUBIC)  # clockwise
    along = (cos(degrees * pi / 180), sin(degrees * pi / 180))
    cut = np.asarray(Rectangle(200, 200, 120, 20, along).cut(turned), int)
    assert cut.shape == (20, 120, 3)
    assert (cut[3:-3, 4:26, 0] > 200).all()
    assert (cut[3:-3, 4:26, 1] < 60).all()
    assert (cut[3:-3, 34:-4] > 200).all()
