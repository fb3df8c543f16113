"""How far to go from the start model, judged by pairs that are held back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.support import assert_same_weights, changed, coloured_pairs
from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.pairs import Input, Pair, PairDataset, split_pairs
from unisem.pairs.pair import CAPTIONED
from unisem.pairs.splits import Split
from unisem.training import Augmentation, Recipe, train_encoder
from unisem.training.inputs.preparing import prepare_pairs, stored_depths
from unisem.training.loop.evaluator import rank_pairs
from unisem.training.loop.fitting import fit_pairs
from unisem.training.loop.interpolation_trials import SHARES, Found, Trials
from unisem.training.losses import InfoNCE
from unisem.training.model.interpolation import trainable_state
from unisem.training.model.modality_parts import freeze, only_heads, training_view

HEADS = ("text-backbone", "image-backbone")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> PairDataset:
    return coloured_pairs(tmp_path_factory.mktemp("many"), 120)


def trials(tiny: Path, work: Path, rate: float = 1e-2) -> Trials:
    encoder = load_encoder(str(tiny))
    assert isinstance(encoder, SentenceTransformerEncoder)
    freeze(encoder.model, HEADS)
    depths = stored_depths(encoder, augmented=False)
    recipe = Recipe(epochs=3, batch_size=64, learning_rate=rate)
    view = training_view(encoder.model, depths)
    return Trials(encoder, view, depths, work / "cache", recipe, work / "runs")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_share_is_the_one_that_ranks_held_back_pairs_best(
    tiny: Path, many: PairDataset, tmp_path: Path
) -> None:
    """Against the same thing done at length: a model trained anew, moved share by share."""
    tried = trials(tiny, tmp_path)
    start = trainable_state(tried.encoder.model)
    found = tried.best_share(many, start)
    assert (found.trials, found.dropped) == (5, 0)
    totals = np.zeros(len(SHARES))
    for seed in range(5):
        split = split_pairs(many, held_out=0.2, seed=seed)
        other = trials(tiny, tmp_path / "other")
        pairs, judged = (
            prepare_pairs(other.encoder, part, other.depths, tmp_path / "cache")
            for part in (split.train, split.held_out)
        )
        loss = other.recipe.make_loss(other.encoder.dimension)
        fit_pairs(other.view, pairs, loss, other.recipe, {}, tmp_path / "x")
        trained = trainable_state(other.encoder.model)
        for number, share in enumerate(SHARES):
            with torch.no_grad():
                for name, parameter in other.encoder.model.named_parameters():
                    if name in trained and parameter.requires_grad:
                        parameter.copy_((1 - share) * start[name] + share * trained[name])
            ranked = rank_pairs(other.view, judged)[CAPTIONED]
            totals[number] += ranked.query_to_document.reciprocal_rank().mean()
            totals[number] += ranked.document_to_query.reciprocal_rank().mean()
    assert totals[SHARES.index(found.share)] == pytest.approx(totals.max(), rel=1e-3)


def test_trials_leave_model_and_disk_as_they_were(
    tiny: Path, many: PairDataset, tmp_path: Path
) -> None:
    tried = trials(tiny, tmp_path)
    model = tried.encoder.model
    start = trainable_state(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    came = {name: value.clone() for name, value in model.state_dict().items()}
    told: list[tuple[str, int, int]] = []
    found = tried.best_share(many, start, lambda *what: told.append(what))
    assert found.share in SHARES
    assert all(torch.equal(value, came[name]) for name, value in model.state_dict().items())
    assert [done for _, done, _ in told] == [1, 2, 3, 4, 5]
    assert not tried.work.exists()


def test_few_pairs_say_nothing_and_many_need_no_way_back(
    tiny: Path,
    pairs: PairDataset,
    many: PairDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = trials(tiny, tmp_path)
    start = trainable_state(tried.encoder.model)
    monkeypatch.setattr(Trials, "_trial", lambda *arguments: [1.0] + [0.0] * 9)
    assert tried.best_share(pairs, start) == Found(1.0)
    assert tried.best_share(many, start) == Found(0.1, 5)
    monkeypatch.setattr("unisem.training.loop.interpolation_trials._MANY", 119)
    assert tried.best_share(many, start) == Found(1.0)


def test_pairs_that_hang_together_say_nothing(
    tiny: Path, many: PairDataset, tmp_path: Path
) -> None:
    """A finished run must not fail because no trial is possible."""
    alike = PairDataset(tuple(dataclasses.replace(pair, query=Input("red")) for pair in many))
    tried = trials(tiny, tmp_path)
    assert tried.best_share(alike, trainable_state(tried.encoder.model)) == Found(1.0)


def test_parts_with_one_pair_of_a_kind_are_not_tried(
    tiny: Path, many: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = [Pair(Input(f"{word} question"), Input(f"{word} answer")) for word in ("red", "blue")]
    tried = trials(tiny, tmp_path)
    start = trainable_state(tried.encoder.model)
    parts: list[PairDataset] = []

    def trial(self: Trials, split: Split, start: Any) -> list[float]:
        parts.append(split.train)
        return [1.0] + [0.0] * 9

    monkeypatch.setattr(Trials, "_trial", trial)
    found = tried.best_share(PairDataset((*many, *rare)), start)
    assert found == Found(0.1, len(parts), 5 - len(parts))
    assert 0 < len(parts) < 5
    assert all(part.kinds.get("text to text") != 1 for part in parts)
    parts.clear()
    alike = [Pair(Input("red question"), one.document) for one in rare]
    found = tried.best_share(PairDataset((*many, *alike)), start)
    assert found.trials + found.dropped == 5
    assert all("text to text" not in part.kinds for part in parts)


def test_many_pairs_need_one_trial(
    tiny: Path, many: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisem.training.loop.interpolation_trials._ENOUGH", 20)
    told: list[Any] = []
    tried = trials(tiny, tmp_path)
    tried.best_share(many, trainable_state(tried.encoder.model), lambda *what: told.append(what))
    assert len(told) == 1


@pytest.mark.usefixtures("one_thread")
def test_a_run_goes_as_far_as_its_trials_say(
    tiny: Path, many: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trials, "best_share", lambda *arguments: Found(0.3, 3, 2))
    recipe = Recipe(epochs=2, freeze=HEADS)
    report = train_encoder(str(tiny), many, tmp_path / "chosen", recipe=recipe)
    assert report.share == report.as_json()["share"] == 0.3
    assert (report.trials, report.dropped_trials) == (3, 2)
    told = Recipe(epochs=2, freeze=HEADS, interpolation=0.3)
    assert train_encoder(str(tiny), many, tmp_path / "told", recipe=told).share == 0.3
    assert_same_weights(tmp_path / "chosen", tmp_path / "told")
    assert changed(tiny, tmp_path / "chosen")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_run_that_stops_in_its_trials_resumes_to_the_same_weights(
    tiny: Path, many: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(epochs=2, freeze=HEADS, learning_rate=1e-2)
    whole = train_encoder(str(tiny), many, tmp_path / "whole", recipe=recipe)
    trial, tried = Trials._trial, []

    def stop_at_the_third(*arguments: Any) -> list[float]:
        tried.append(trial(*arguments))
        if len(tried) == 3:
            raise KeyboardInterrupt
        return tried[-1]

    with monkeypatch.context() as patched:
        patched.setattr(Trials, "_trial", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            train_encoder(str(tiny), many, tmp_path / "parts", recipe=recipe)
    assert not (tmp_path / "parts").exists()
    resumed = train_encoder(str(tiny), many, tmp_path / "parts", recipe=recipe, resume=True)
    assert resumed.share == whole.share
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("recipe", "loss"),
    [
        (Recipe(epochs=1, freeze=()), None),
        (Recipe(epochs=1, freeze=HEADS, interpolation=1), None),
        (Recipe(epochs=1, freeze=HEADS, augmentation=Augmentation(crop=0.9)), None),
        (Recipe(epochs=1, freeze=HEADS), InfoNCE()),
    ],
    ids=["networks", "told", "changes", "own loss"],
)
def test_no_trials_where_the_share_is_told_or_they_would_not_be_quick(
    tiny: Path,
    pairs: PairDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: Recipe,
    loss: InfoNCE | None,
) -> None:
    monkeypatch.setattr(Trials, "best_share", lambda *arguments: Found(0.0))
    report = train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, loss=loss)
    assert report.share == 1.0


def test_only_heads_are_trained_when_networks_are_frozen(tiny: Path) -> None:
    encoder = load_encoder(str(tiny))
    assert isinstance(encoder, SentenceTransformerEncoder)
    freeze(encoder.model, ())
    assert not only_heads(encoder.model)
    freeze(encoder.model, HEADS)
    assert only_heads(encoder.model)
