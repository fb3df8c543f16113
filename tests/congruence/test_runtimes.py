"""A space that one runtime has filled is answered by the other, through every door, alike.

What is stored is torch's and what asks is onnxruntime's, or the other way round. Ids are the same,
and scores to 2e-5: vectors of both agree to 1e-5 (`tests/encoders/onnx`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.congruence.conditions import Leaf
from tests.congruence.corpus import records
from tests.congruence.doors import DOORS
from tests.congruence.fronts import Core, Question
from tests.support.checkpoints import save_clip
from unisem import Encoder, SemanticSpace, load_encoder
from unisem.encoders.onnx import OnnxEncoder, export_onnx

TOLERANCE = 2e-5
QUESTIONS = (
    Question(text="a red tiger", k=8),
    Question(text="snow on the harbour", k=8, modality="image"),
    Question(text="blue card", k=8, mode="hybrid"),
    Question(text="teapot", k=8, condition=Leaf("flag", "eq", True)),
    Question(text="paper", k=5, diversity=0.4),
)


def mini(folder: Path) -> dict[str, Encoder]:
    return {runtime: load_encoder("mini", runtime=runtime) for runtime in ("torch", "onnx")}  # type: ignore[arg-type]


def clip(folder: Path) -> dict[str, Encoder]:
    loaded = load_encoder(str(save_clip(folder / "clip")))
    export_onnx(loaded, folder / "exported")
    return {"torch": loaded, "onnx": load_encoder(str(folder / "exported"), device="cpu")}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(mini, id="mini"),
        pytest.param(clip, id="CLIP", marks=pytest.mark.slow),  # its export takes long
    ],
)
def encoders(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Encoder]:
    found: dict[str, Encoder] = request.param(tmp_path_factory.mktemp("models"))
    assert isinstance(found["onnx"], OnnxEncoder)
    assert not isinstance(found["torch"], OnnxEncoder)
    return found


@pytest.fixture(scope="module", params=["torch", "onnx"], ids="filled by {}".format)
def spaces(
    request: pytest.FixtureRequest,
    encoders: dict[str, Encoder],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SemanticSpace, SemanticSpace]]:
    """The same directory as who has filled it sees it, and as the other runtime does."""
    folder = tmp_path_factory.mktemp("filled")
    other = "onnx" if request.param == "torch" else "torch"
    options: dict[str, Any] = {"image_roots": [folder]}
    place = folder / "s.unisem"
    with SemanticSpace.open(place, encoder=encoders[request.param], **options) as filled:
        filled.add(records(folder / "pictures"))
    with (
        SemanticSpace.open(place, encoder=encoders[request.param], **options) as one,
        SemanticSpace.open(place, encoder=encoders[other], **options) as two,
    ):
        yield one, two


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_every_door_gives_what_the_other_runtime_gives(
    spaces: tuple[SemanticSpace, SemanticSpace], question: Question
) -> None:
    here, there = spaces
    (expected,) = Core(here).ask(question)
    answers = {name: door(there, question) for name, door in DOORS.items()}
    assert sum(answer is not None for answer in answers.values()) >= 10
    for name, answer in answers.items():
        if answer is not None:
            same(answer, expected, name)


@pytest.mark.parametrize("text", [None, "snow"])
def test_pictures_ask_alike(spaces: tuple[SemanticSpace, SemanticSpace], text: str | None) -> None:
    here, there = spaces
    picture = here.search("red", modality="image", k=1)[0].record.image
    assert picture is not None
    question = Question(text=text, image=picture.path, text_weight=0.3, k=8)
    (expected,) = Core(here).ask(question)
    answers = {name: door(there, question) for name, door in DOORS.items()}
    assert sum(answer is not None for answer in answers.values()) >= 5
    for name, answer in answers.items():
        if answer is not None:
            same(answer, expected, name)


def same(answer: Any, expected: Any, name: str) -> None:
    assert [found for found, _ in answer] == [wanted for wanted, _ in expected], name
    for (_, score), (_, wanted) in zip(answer, expected, strict=True):
        assert score is None or abs(score - wanted) <= TOLERANCE, name
