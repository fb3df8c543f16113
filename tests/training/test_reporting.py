"""What a run reports: figures, leakage, TensorBoard's files, and libraries that it lacks."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from torch import Tensor

from unisem import load_encoder
from unisem.cli.training_report import print_training
from unisem.errors import TrainingError
from unisem.evaluation import EvaluationOptions, evaluate
from unisem.pairs import PairDataset
from unisem.pairs.splits import Leakage
from unisem.training import Recipe, train_encoder
from unisem.training.losses import InfoNCE, PairLabels, PairLoss
from unisem.training.report import TrainingReport

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_report_says_what_the_parts_have_in_common(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    for name, train, common in (
        ("apart", pairs.select(range(12)), 0),
        ("same", pairs, 6),
    ):
        held_out = pairs.select(range(12, 18))
        recipe = Recipe(epochs=1)
        report = train_encoder(str(tiny), train, tmp_path / name, held_out=held_out, recipe=recipe)
        assert report.leakage == Leakage(common, common)
        found = json.loads(json.dumps(report.as_json()))
        assert found["leakage"] == {"pictures": common, "captions": common}
        changes = report.change(5)
        assert changes is not None
        assert found["before"]["text to image"]["hit@5"] == changes[0].before
        assert found["after"]["image to text"]["hit@5"] == changes[1].after
        assert found["losses"] == list(report.losses)


@pytest.mark.parametrize("dropped", [0, 2])
def test_splits_that_were_not_tried_are_told(dropped: int, tmp_path: Path) -> None:
    report = TrainingReport(tmp_path, 9, 9, (1.0,), 1.0, trials=3, dropped_trials=dropped)
    out = Console(file=io.StringIO())
    print_training(out, report, k=10, held_out=0)
    assert ("tried on 3 of 5 splits" in out.file.getvalue()) is (dropped == 2)
    assert report.as_json()["dropped_trials"] == dropped


def test_evaluation_finds_what_the_report_says(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    """The saved encoder, loaded again and ranked by other code."""
    train, held_out = pairs.select(range(9)), pairs.select(range(9, 18))
    recipe = Recipe(epochs=3, learning_rate=1e-2)
    report = train_encoder(str(tiny), train, tmp_path / "out", held_out=held_out, recipe=recipe)
    found = report.as_json()
    for name, when in ((tiny, "before"), (tmp_path / "out", "after")):
        options = EvaluationOptions(rounds=1)
        task = evaluate(load_encoder(str(name)), held_out, options=options).encoder.tasks[0]
        assert task.task == "text to image"
        for measure, estimate in task.measures.items():
            assert found[when][task.task][measure] == pytest.approx(estimate.value)


def test_tensorboard_gets_losses_their_parts_and_hits(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    class Parts(PairLoss):
        def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> dict[str, Tensor]:
            inner = InfoNCE()(texts, images, labels)
            return {"most": inner * 0.75, "rest": inner * 0.25}

    for name, size in (("plain", None), ("cached", 4)):
        recipe = Recipe(epochs=2, batch_size=6, patience=2, validation=0.3, mini_batch_size=size)
        folder = tmp_path / f"{name}-logs"
        report = train_encoder(
            str(tiny), pairs, tmp_path / name, recipe=recipe, loss=Parts(), tensorboard=folder
        )
        events = EventAccumulator(str(folder))
        events.Reload()
        assert {"train/loss", "train/learning_rate", "eval/hit@10"} <= set(events.Tags()["scalars"])
        logged = {
            tag: [event.value for event in events.Scalars(f"train/{tag}")]
            for tag in ("loss", "most", "rest")
        }
        assert logged["loss"] == pytest.approx(report.losses)
        assert logged["most"] == pytest.approx([0.75 * loss for loss in report.losses], abs=1e-4)
        assert logged["rest"] == pytest.approx([0.25 * loss for loss in report.losses], abs=1e-4)


@pytest.mark.parametrize(
    ("absent", "says"),
    [("datasets", r"unisem\[train\]"), ("tensorboard", "pip install tensorboard")],
)
def test_a_library_that_is_not_there_is_named_before_anything_is_done(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str, says: str
) -> None:
    monkeypatch.setattr(
        "unisem.training.loop.environment.find_spec",
        lambda name: None if name == absent else object(),
    )
    with pytest.raises(TrainingError, match=says):
        train_encoder(str(tiny), PairDataset(()), tmp_path / "out", tensorboard=tmp_path / "logs")
