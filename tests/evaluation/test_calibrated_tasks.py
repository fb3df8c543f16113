"""What a calibration changes, against a space that is calibrated the same way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import solid
from tests.support.toy import COLOURS, FusingToyEncoder, ToyEncoder
from unisem import SemanticSpace
from unisem.calibration import fit_calibration
from unisem.evaluation import EvaluationOptions, Report, evaluate
from unisem.evaluation import calibrated_tasks as module
from unisem.evaluation.answers import Answers
from unisem.images.reference import ImageRef, ImageSource
from unisem.pairs import Pair, PairDataset
from unisem.records import Vector

QUICK = EvaluationOptions(rounds=100, splits=3)


class Apart(ToyEncoder):
    """Texts here, pictures there."""

    def encode_texts(
        self, texts: Sequence[str], role: str = "document", **options: object
    ) -> Vector:
        return _shifted(super().encode_texts(texts), 1.5)

    def encode_images(self, images: Sequence[ImageSource], **options: object) -> Vector:
        return _shifted(super().encode_images(images), -1.5)


class Fusing(Apart, FusingToyEncoder):
    """And both together elsewhere."""


def _shifted(rows: Vector, by: float) -> Vector:
    moved = rows.copy()
    moved[:, 0] += by
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def speckled(folder: Path, count: int) -> PairDataset:
    """Pictures of six colours, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(count):
        path = folder / f"{number}.png"
        colour = list(COLOURS)[number % 6]
        pixels = np.array(solid(colour, (8, 8)), int) + rng.integers(-10, 10, (8, 8, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        pairs.append(Pair.of(ImageRef(path=path, root=folder), f"{colour} {number}", path.name))
    return PairDataset(tuple(pairs))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairDataset:
    return speckled(tmp_path_factory.mktemp("speckled"), 90)


@pytest.fixture(scope="module")
def report(pairs: PairDataset) -> Report:
    return evaluate(Apart(), pairs, options=QUICK)


def test_a_gap_is_closed_and_the_change_is_paired(report: Report) -> None:
    asked, shown = report.encoder.calibrated
    assert (asked.task, shown.task) == ("text to mixed", "image to mixed")
    for task in (asked, shown):
        for name, change in task.change.items():
            gain = task.after[name].value - task.before[name].value
            assert change.value == pytest.approx(gain)
            assert change.low <= change.value <= change.high
    assert shown.before["ndcg@10"].value == 0  # every place is a picture's
    assert shown.change["ndcg@10"].low > 0.05
    assert shown.hub_after < shown.hub_before


def test_halves_are_asked_as_a_space_answers(
    pairs: PairDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept: list[Answers] = []
    fitted: list[Any] = []

    class Watched(Answers):
        @classmethod
        def of(cls, task: Any, embeddings: Any, *, calibration: Any = None, depth: int = 10) -> Any:
            answers = Answers.of(task, embeddings, calibration=calibration, depth=depth)
            if calibration is not None:
                kept.append(answers)
                fitted.append(calibration)
            return answers

    monkeypatch.setattr(module, "Answers", Watched)
    evaluate(Fusing(), pairs, options=EvaluationOptions(rounds=10, splits=1))
    assert len(kept) == 2
    matched = set()
    for number, (answers, calibration) in enumerate(zip(kept, fitted, strict=True)):
        ids = [record.id for record in answers.task.candidates]
        with SemanticSpace.open(
            tmp_path / f"{number}.unisem",
            encoder=Fusing(),
            image_roots=[pairs[0].image.root or tmp_path],
        ) as space:
            space.add(answers.task.candidates)
            space.use_calibration(calibration)
            for query, top in zip(answers.task.queries, answers.top, strict=True):
                given = {"text": query.text} if query.image is None else {"image": query.image}
                hits = space.search(**given, k=len(top))
                assert [hit.record.id for hit in hits] == [ids[place] for place in top]
                matched |= {hit.matched for hit in hits}
    assert matched == {"text", "image", "both"}


def test_no_half_asks_what_it_was_fitted_to(
    pairs: PairDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[int]] = []

    def watched(sample: Any, **options: Any) -> Any:
        learnt.append({row.tobytes() for row in sample.images})
        return fit_calibration(sample, **options)

    monkeypatch.setattr(module, "fit_calibration", watched)
    images = {row.tobytes() for row in Apart().encode_images([pair.image for pair in pairs])}
    evaluate(Apart(), pairs, options=EvaluationOptions(rounds=10, splits=4))
    assert [len(half) for half in learnt] == [45] * 4
    assert all(half < images for half in learnt)
    assert len({frozenset(half) for half in learnt}) == 4


def test_too_few_or_not_wanted(tmp_path: Path, pairs: PairDataset) -> None:
    few = evaluate(Apart(), speckled(tmp_path, 60), options=QUICK)
    assert few.encoder.calibrated == ()
    without = evaluate(Apart(), pairs, options=EvaluationOptions(rounds=10, splits=0))
    assert without.encoder.calibrated == ()
    assert without.as_json()["encoder"]["calibrated"] == {}


def test_json_and_page(report: Report) -> None:
    found = report.as_json()["encoder"]["calibrated"]["image to mixed"]
    task = report.encoder.calibrated[1]
    assert found["after"]["hit@10"]["value"] == task.after["hit@10"].value
    assert found["hub_before"] == task.hub_before
    from unisem.evaluation.page import render_report

    page = render_report(report)
    assert "<h2>Calibrated</h2>" in page
    assert f"{task.change['hit@10'].value:+.3f}" in page
