"""What the benchmark of languages reads, and what it ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.captioned import CaptionedPictures
from benchmarks.languages import (
    XTD10,
    Shown,
    add_captions,
    add_pictures,
    read_stamp_translations,
    read_xtd10,
)
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder


def cells(table: Table) -> list[list[str]]:
    columns = [list(column.cells) for column in table.columns]
    return [[str(cell) for cell in row] for row in zip(*columns, strict=True)]


def test_translations_of_stamps_are_lines_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A tiger.\nde.utf8=Ein Tiger.\nfi.utf8=Tiikeri\nja.utf8= \n")
    (tmp_path / "b.txt").write_text("A cat.\nzh_CN.utf8=猫。\n", encoding="utf-8")
    found = read_stamp_translations(tmp_path)
    assert found == {"de": {"A tiger.": "Ein Tiger."}, "zh": {"A cat.": "猫。"}}


def test_everyday_captions_go_with_their_english(tmp_path: Path) -> None:
    for language, lines in {"en": "a\nb\n", "zh": "甲\n乙\n"}.items():
        path = tmp_path / XTD10.format(language)
        path.parent.mkdir(exist_ok=True)
        path.write_text(lines, encoding="utf-8")
    assert read_xtd10(tmp_path) == {"zh": {"a": "甲", "b": "乙"}}


def test_shares_are_of_minis_english_on_the_same_pictures() -> None:
    colours = ["red", "blue"]
    pictures = CaptionedPictures(colours, [solid(colour) for colour in colours], [[0], [1]])
    shown = Shown("colours", pictures, {"de": {"red": "red"}, "zh": {"blue": "blue"}})
    table = Table("pictures", "language", "queries", "hit@1", "hit@10", "of mini's English")
    add_pictures(table, ToyEncoder(), ToyEncoder(), shown)
    rows = cells(table)
    assert [row[1:3] for row in rows] == [
        ["en, mini", "2"],
        ["en", "2"],
        ["zh", "1"],
        ["de", "1"],
    ]
    assert [row[5] for row in rows] == ["", "", "1.00", "1.00"]
    assert all(row[3].startswith("1.000") for row in rows)


def test_a_caption_is_looked_for_among_all_english_ones() -> None:
    translations = {"de": {"a red card": "a red card"}, "zh": {"a blue card": "snow in winter"}}
    table = Table("captions", "language", "queries", "hit@1", "hit@10")
    add_captions(table, ToyEncoder(), "cards", translations)
    german, chinese = cells(table)
    assert german[3].startswith("1.000")
    assert np.isclose(float(chinese[4].split()[0]), 1)  # there are two captions
