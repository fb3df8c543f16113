"""Whether the modality comes back that queries ask for: counted by hand, and in a space."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_diagnose import FAST, filled
from unisem import Record, SemanticSpace
from unisem.errors import UniSemError
from unisem.evaluation import AskedQuery, diagnose, read_queries
from unisem.evaluation.asked_modality import AskedModality, asked_modalities
from unisem.images.reference import ImageRef
from unisem.stores.hits import Hit

PICTURE = ImageRef(path=Path("a.png"))


def hits(forms: str) -> list[Hit]:
    """``t``: a text, ``p``: a picture, ``c``: a captioned picture."""
    return [
        Hit(
            Record(
                id=f"{place}",
                text=None if form == "p" else "a",
                image=None if form == "t" else PICTURE,
            ),
            0.5,
            "text",
        )
        for place, form in enumerate(forms)
    ]


def test_counted_by_hand() -> None:
    asked = [
        (AskedQuery("a picture of a", modality="image"), "pctt"),
        (AskedQuery("photos of b", modality="image"), "tttp"),
        (AskedQuery("nothing", modality="image"), ""),
        (AskedQuery("words on c", modality="text"), "ttpc"),
        (AskedQuery("d"), "pppp"),
    ]
    found = asked_modalities(
        [query for query, _ in asked],
        [hits(forms) or None for _, forms in asked],
        {"text": 5, "image": 2, "captioned image": 3},
    )
    assert found == (
        AskedModality("text", queries=1, ten=0.5, first=1.0, present=0.5),
        AskedModality("image", queries=2, ten=0.375, first=0.5, present=0.5),
    )


def test_what_a_space_answers(space: SemanticSpace, tmp_path: Path) -> None:
    mixed = filled(space, tmp_path / "pictures")
    wanted = ["a picture of red", "a photo of something blue", "a green picture"]
    rows = [{"text": text, "modality": "image"} for text in wanted]
    rows += [{"text": "what is written of red", "modality": "text"}, {"text": "red"}]
    file = tmp_path / "queries.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    found = diagnose(mixed, read_queries(file), options=FAST)
    text, image = found.modalities
    assert (text.modality, text.queries, image.modality, image.queries) == ("text", 1, "image", 3)
    shares = [
        np.mean([hit.record.image is not None for hit in mixed.search(text=text, k=10)])
        for text in wanted
    ]
    assert image.ten == pytest.approx(np.mean(shares))
    assert image.present == pytest.approx(2 / 3)
    told = [one for one in found.findings if one.name == "modality"]
    assert len(told) == 2
    problem = next(one for one in told if "ask for pictures" in one.text)
    assert problem.is_problem == (image.ten < 0.9)
    assert ('Ask with modality="image"' in problem.remedy) == problem.is_problem
    assert found.as_json()["modalities"][1]["queries"] == 3
    assert "3 of your queries ask for pictures" in found.as_html()
    assert diagnose(mixed, [AskedQuery("red")], options=FAST).modalities == ()


def test_another_modality_is_named(tmp_path: Path) -> None:
    file = tmp_path / "q.csv"
    file.write_text("text,modality\na,\nb,sound\n")
    with pytest.raises(UniSemError, match=r"q\.csv:3.*modality must be"):
        read_queries(file)
    file.write_text("text,modality\na,\nb,text\n")
    assert [query.modality for query in read_queries(file)] == [None, "text"]
