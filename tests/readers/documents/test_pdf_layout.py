"""Where a caption ends, and what is a figure or a table, by lines and shapes that are known."""

from __future__ import annotations

import pytest

from unisem.pdfium.page_text import Line
from unisem.readers.documents.labels import label_of
from unisem.readers.documents.pdf_blocks import Block, blocks_of, leading_of
from unisem.readers.documents.pdf_figures import Shape, is_figure, is_table
from unisem.readers.documents.pdf_layout import Figure, captioned


def lines(*rows: tuple[str, float]) -> list[Line]:
    """Lines of ten points, each with the white above it."""
    made: list[Line] = []
    top = 100.0
    for text, white in rows:
        top += white
        made.append(Line(text, (60.0, top, 60.0 + 5 * len(text), top + 10), 10.0))
        top += 10
    return made


@pytest.mark.parametrize("white", [4.5, 6.0])
def test_a_caption_ends_where_the_white_is_more_than_between_lines(white: float) -> None:
    page = lines(
        ("Figure 3: The menu, which opens with a click of", 0),
        ("the right button.", 2),
        ("The menu has three entries, of which the first", white),
        ("opens a window.", 2),
        ("The second one closes it, and the third one asks", 2),
        ("whether that was meant.", 2),
    )
    blocks = blocks_of(page, 10.0, leading_of(page))
    assert blocks[0].text == ("Figure 3: The menu, which opens with a click of the right button.")
    assert blocks[1].text.startswith("The menu has three entries")


def test_a_passage_goes_on_after_a_line_with_a_formula() -> None:
    page = lines(
        ("The height of the wave is given by the sum over", 0),
        ("all layers, of which each one has a weight, and", 4.5),
        ("by the depth.", 2),
        ("It is small.", 2),
    )
    assert len(blocks_of(page, 10.0, leading_of(page))) == 1


def test_a_drawing_made_elsewhere_may_be_full_of_its_own_words() -> None:
    box = (60.0, 100.0, 360.0, 200.0)
    rows = [Line("x" * 40, (60.0, 100.0 + 25 * n, 360.0, 110.0 + 25 * n), 10.0) for n in range(4)]
    assert is_figure(Shape(box, forms=1), rows)
    assert not is_figure(Shape(box, images=1), rows)
    dense = [Line("x" * 40, (60.0, 100.0 + 12 * n, 360.0, 110.0 + 12 * n), 10.0) for n in range(8)]
    assert not is_figure(Shape(box, forms=1), dense)


def test_a_grid_of_rules_is_a_table_even_if_most_cells_are_empty() -> None:
    inside = [
        Line(text, (left, top, left + 20, top + 10), 10.0)
        for text, left, top in [
            ("Code", 60.0, 100.0),
            ("Sign", 120.0, 100.0),
            ("Code", 180.0, 100.0),
            ("Sign", 240.0, 100.0),
            ("neq", 60.0, 114.0),
        ]
    ]
    box = (55.0, 98.0, 300.0, 128.0)
    assert is_table(Shape(box, rules=17), inside)
    assert not is_figure(Shape(box, rules=17), inside)
    assert not is_table(Shape(box, rules=9, drawings=12), inside)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Figure 3a", ("figure", "3a")),
        ("FIGURE IV: The plan", ("figure", "iv")),
        ("Table A.3 Sizes", ("table", "a.3")),
        ("Fig. 2-1", ("figure", "2.1")),
        ("Examples:", None),
        ("Tables of sizes", None),
        ("Figure a house", None),
    ],
)
def test_a_label_has_a_number_and_is_no_plural(text: str, key: tuple[str, str] | None) -> None:
    label = label_of(text)
    assert (label and label.key) == key


def test_a_caption_in_the_middle_belongs_to_a_figure_at_the_edge() -> None:
    caption = Line("Figure 2: The network", (214.0, 561.0, 380.0, 572.0), 10.0)
    figure = Figure((71.0, 415.0, 231.0, 545.0), "figure")
    assert captioned([Block([caption])], [figure], []) == [figure]
    assert figure.caption == "Figure 2: The network"
