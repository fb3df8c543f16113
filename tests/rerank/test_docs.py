"""The page about rerankers does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.checkpoints import save_picture_cross_encoder, save_text_cross_encoder
from tests.support.pictures import colour_folder, solid
from tests.support.toy import ToyEncoder
from unisem import ImageRef

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "rerankers.md"


def test_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unisem.space.load_encoder", lambda name, **options: ToyEncoder())
    colour_folder(tmp_path / "photos")
    solid("blue", (20, 20)).save(tmp_path / "query.jpg")
    save_text_cross_encoder(tmp_path / "models" / "reads-texts")
    saved = save_picture_cross_encoder(tmp_path / "parts")
    saved.rename(tmp_path / "models" / "sees-pictures")

    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)

    found = names["hits"]
    scores = names["reranker"].score("a red card", None, [hit.record for hit in found])
    np.testing.assert_allclose([hit.score for hit in found], np.sort(scores)[::-1], 1e-5)
    assert len(names["wider"]) == len(names["like_this"]) == len(names["but_red"]) == 3
    everything = names["space"].search("a", k=7)
    picture = ImageRef.of(tmp_path / "query.jpg")
    scores = names["seeing"].score("the same in red", picture, [h.record for h in everything])
    best = {everything[place].record.id for place in np.argsort(-scores)[:3]}
    assert {hit.record.id for hit in names["but_red"]} == best
    assert len(names["recent"]) == len(names["documents"]) == 3
    assert "Which card is like this one?" in str(names["messages"])
    assert len(names["answer"].source_nodes) == 3
    names["space"].close()
