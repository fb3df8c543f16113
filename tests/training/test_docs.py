"""The documentation's Python runs, in order, with a tiny encoder in the place of mini."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.training.support import coloured_pairs

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "training.md"


@pytest.mark.slow
def test_the_page_s_examples_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for pair in coloured_pairs(tmp_path / "photos", 30):
        assert pair.image.path is not None
        pair.image.path.with_suffix(".txt").write_text(pair.caption)
    (tmp_path / "parts").symlink_to(tiny.parent / "parts")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    opening, *others = blocks
    names: dict[str, Any] = {}
    for block in [*others, opening]:  # a space opens the encoder when it is there
        exec(block.replace('"mini"', repr(str(tiny))), names)
    assert names["checked"].report.usable == 30
    assert names["report"].change(10) is not None
    assert (tmp_path / "start" / "modules.json").is_file()
    names["space"].close()
