"""`train_encoder` from end to end, on networks of a few thousand numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.support import assert_same_weights, changed, weights
from unisem import Record, SemanticSpace, load_encoder
from unisem.errors import TrainingError
from unisem.pairs import PairDataset
from unisem.training import Augmentation, Recipe, train_encoder
from unisem.training.inputs.batches import EqualBatches
from unisem.training.loop.evaluator import HitEvaluator
from unisem.training.model.modality_parts import default_parts, freeze
from unisem.training.run import resolved
from unisem.training.settings import Part

pytestmark = pytest.mark.usefixtures("one_thread")

HEADS = Recipe(epochs=4, batch_size=6)
EVERY_HEAD = Recipe(epochs=1, batch_size=9, loss="sigmoid")
EVERYTHING = Recipe(epochs=3, batch_size=6, freeze=(), learning_rate=1e-3)


def test_heads_are_trained_and_nothing_else(tiny: Path, pairs: PairDataset, tmp_path: Path) -> None:
    calls: list[str] = []
    report = train_encoder(
        str(tiny),
        pairs,
        tmp_path / "out",
        held_out=pairs,
        recipe=HEADS,
        progress=lambda what, done, total: calls.append(what),
    )
    assert report.steps == 12
    assert len(report.losses) == 4
    assert report.losses[-1] < report.losses[0]
    names = changed(tiny, tmp_path / "out")
    assert names
    assert all("Dense" in name for name in names)
    assert report.trained == 2 * (32 * 24 + 24)
    assert set(calls) == {"encoding what is frozen", "training"}
    assert not (tmp_path / "out.training" / "checkpoints").exists()
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["recipe"]["learning_rate"] == 1e-3
    changes = report.change(1)
    assert changes is not None
    assert all(c.low <= c.after - c.before <= c.high for c in changes)


@pytest.mark.slow
def test_what_is_learned_is_found(tiny: Path, pairs: PairDataset, tmp_path: Path) -> None:
    recipe = Recipe(epochs=100, batch_size=18, learning_rate=3e-2, checkpoint_steps=50)
    report = train_encoder(str(tiny), pairs, tmp_path / "out", held_out=pairs, recipe=recipe)
    changes = report.change(1)
    assert changes is not None
    assert changes[0].after > changes[0].before + 0.3
    # What the report says is what the saved encoder does.
    encoder = load_encoder(str(tmp_path / "out"))
    texts = encoder.encode_texts(pairs.captions, role="query")
    images = encoder.encode_images([pair.image for pair in pairs])
    hits = (texts @ images.T).argmax(axis=1) == np.arange(len(pairs))
    assert hits.mean() == pytest.approx(changes[0].after)


def test_stored_features_train_as_live_ones(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_encoder(str(tiny), pairs, tmp_path / "stored", recipe=HEADS)
    monkeypatch.setattr("unisem.training.run.stored_depths", lambda *a, **k: {})
    train_encoder(str(tiny), pairs, tmp_path / "live", recipe=HEADS)
    assert changed(tiny, tmp_path / "stored")
    assert_same_weights(tmp_path / "stored", tmp_path / "live", 1e-5)


@pytest.mark.slow
def test_cached_gradients_train_as_plain_ones(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    plain = Recipe(epochs=2, batch_size=9, learned_temperature=True)
    cached = Recipe(epochs=2, batch_size=9, learned_temperature=True, mini_batch_size=2)
    train_encoder(str(tiny), pairs, tmp_path / "plain", recipe=plain)
    train_encoder(str(tiny), pairs, tmp_path / "cached", recipe=cached)
    assert_same_weights(tmp_path / "plain", tmp_path / "cached", 1e-5)


@pytest.mark.slow
def test_accumulated_steps_move_weights_together(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=2, batch_size=6, accumulate=3)
    assert train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe).steps == 2


@pytest.mark.slow
def test_a_second_run_reads_the_stored_features(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_encoder(str(tiny), pairs, tmp_path / "one", recipe=HEADS, features=tmp_path / "f")

    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("computed again")

    monkeypatch.setattr("unisem.training.inputs.preparing.compute_features", never)
    train_encoder(str(tiny), pairs, tmp_path / "two", recipe=HEADS, features=tmp_path / "f")
    assert_same_weights(tmp_path / "one", tmp_path / "two")
    # A trained head changes nothing before it.
    monkeypatch.undo()
    one, two = (str(tmp_path / name) for name in ("one", "two"))
    train_encoder(one, pairs, tmp_path / "three", recipe=HEADS, features=tmp_path / "f")
    monkeypatch.setattr("unisem.training.inputs.preparing.compute_features", never)
    train_encoder(two, pairs, tmp_path / "four", recipe=EVERY_HEAD, features=tmp_path / "f")


@pytest.mark.slow
def test_a_damaged_feature_file_is_named(tiny: Path, pairs: PairDataset, tmp_path: Path) -> None:
    train_encoder(str(tiny), pairs, tmp_path / "one", recipe=HEADS, features=tmp_path / "f")
    damaged = next((tmp_path / "f").rglob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:20])
    with pytest.raises(TrainingError, match="are damaged"):
        train_encoder(str(tiny), pairs, tmp_path / "two", recipe=HEADS, features=tmp_path / "f")


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=2, loss="sigmoid"),
        Recipe(epochs=2, loss="triplet", mining="hard"),
        Recipe(epochs=2, dimensions=(8, 4)),
        Recipe(epochs=2, hard_negatives=2, batch_size=6),
        Recipe(epochs=2, hard_negatives=2, batch_size=6, mini_batch_size=4),
        Recipe(epochs=2, precision="bfloat16", freeze=()),
        Recipe(epochs=2, mask_above=0.95, freeze=("text",)),
        Recipe(epochs=2, lora=2, freeze=()),
        Recipe(epochs=3, unfreeze_every=1, freeze=(), batch_size=6),
        Recipe(epochs=2, augmentation=Augmentation(crop=0.7, colour=0.2)),
    ],
    ids=lambda recipe: " ".join(
        name
        for name in Recipe.__dataclass_fields__
        if name not in ("epochs", "batch_size", "mining", "freeze")
        and getattr(recipe, name) != getattr(Recipe(), name)
    ),
)
def test_every_option_trains_something_and_the_result_opens(
    recipe: Recipe, tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    report = train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe)
    assert all(np.isfinite(report.losses))
    assert changed(tiny, tmp_path / "out")
    encoder = load_encoder(str(tmp_path / "out"))
    assert encoder.encode_texts(["a red tiger"]).shape == (1, 24)
    for path in (tmp_path / "out").rglob("*"):
        assert path.suffix not in (".bin", ".pt", ".pth", ".pkl")


@pytest.mark.slow
def test_random_changes_differ_by_epoch_and_not_by_run(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=2, augmentation=Augmentation(crop=0.5))
    for name in ("one", "two"):
        train_encoder(str(tiny), pairs, tmp_path / name, recipe=recipe)
    assert_same_weights(tmp_path / "one", tmp_path / "two")
    train_encoder(str(tiny), pairs, tmp_path / "plain", recipe=Recipe(epochs=2))
    assert changed(tmp_path / "plain", tmp_path / "one")


@pytest.mark.slow
def test_interpolation_leads_back_to_the_start(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    for weight in (0.0, 0.5, 1.0):
        recipe = Recipe(epochs=2, interpolation=weight)
        train_encoder(str(tiny), pairs, tmp_path / str(weight), recipe=recipe)
    assert not changed(tiny, tmp_path / "0.0")
    start, half, end = (weights(p) for p in (tiny, tmp_path / "0.5", tmp_path / "1.0"))
    for name in changed(tiny, tmp_path / "1.0"):
        torch.testing.assert_close(half[name], (start[name] + end[name]) / 2)


def test_early_stopping_keeps_the_best(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [0.1, 0.5, 0.2, 0.1, 0.9]
    seen: list[list[Tensor]] = []

    class Dictated(HitEvaluator):
        def __call__(self, model: Any, *arguments: Any, **options: Any) -> dict[str, float]:
            seen.append([p.detach().clone() for p in model.parameters()])
            return {self.primary_metric: scores[len(seen) - 1]}

    monkeypatch.setattr("unisem.training.loop.fitting.HitEvaluator", Dictated)
    encoder = load_encoder(str(tiny))
    recipe = Recipe(epochs=30, patience=2, validation=0.3, learning_rate=1e-2)
    train_encoder(encoder, pairs, tmp_path / "out", recipe=recipe)
    assert len(seen) == 4  # the second was the best, and two more were waited for
    left = encoder.model.state_dict()  # type: ignore[attr-defined]
    kept = [
        all(any(torch.equal(one, other) for other in left.values()) for one in parameters)
        for parameters in seen
    ]
    assert kept == [False, True, False, False]


@pytest.mark.parametrize(
    ("batch", "parts", "steps"),
    [(18, None, 80), (9, None, 80), (2, None, 90), (18, (), 5), (9, (), 10)],
)
def test_heads_get_eighty_steps_at_least_and_ten_passes(
    batch: int,
    parts: tuple[Part, ...] | None,
    steps: int,
    tiny: Path,
    pairs: PairDataset,
) -> None:
    model = load_encoder(str(tiny), runtime="torch").model  # type: ignore[attr-defined]
    freeze(model, default_parts(model) if parts is None else parts)
    made = resolved(Recipe(batch_size=batch), model, len(pairs))
    assert made.epochs is not None
    assert made.epochs * len(EqualBatches(pairs, batch_size=batch, seed=0)) == steps
    if parts is None:  # what moves weights is a step, however many batches it has
        twice = resolved(Recipe(batch_size=batch, accumulate=2), model, len(pairs))
        assert twice.epochs is not None
        assert twice.epochs * math.ceil(18 / batch / 2) >= 80
    assert resolved(Recipe(epochs=3), model, len(pairs)).epochs == 3


def test_the_only_step_of_a_run_moves_weights(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    """A learning rate that warms up from 0 would spend it on nothing."""
    report = train_encoder(str(tiny), pairs, tmp_path / "out", recipe=Recipe(epochs=1))
    assert report.steps == 1
    assert changed(tiny, tmp_path / "out")


def test_bfloat16_computes_in_it_and_float16_needs_a_gpu(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    losses = {
        precision: train_encoder(
            str(tiny), pairs, tmp_path / precision, recipe=Recipe(epochs=1, precision=precision)
        ).losses[0]
        for precision in ("float32", "bfloat16")
    }
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    recipe = Recipe(epochs=1, precision="float16")
    encoder = load_encoder(str(tiny), device="cpu")
    with pytest.raises(TrainingError, match="float16 needs a GPU"):
        train_encoder(encoder, pairs, tmp_path / "float16", recipe=recipe)
    assert not (tmp_path / "float16").exists()


def test_lora_is_interpolated_as_weights_and_decided_by_the_seed(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    """An addition is a product: half of both of its matrices would be a quarter of it."""
    for name, weight in (("half", 0.5), ("end", 1.0), ("again", 1.0)):
        recipe = Recipe(epochs=2, freeze=(), lora=2, learning_rate=1e-2, interpolation=weight)
        train_encoder(str(tiny), pairs, tmp_path / name, recipe=recipe)
    assert_same_weights(tmp_path / "end", tmp_path / "again")
    start, half, end = (weights(p) for p in (tiny, tmp_path / "half", tmp_path / "end"))
    moved = changed(tiny, tmp_path / "end")
    assert any("attention" in name for name in moved)
    for name in moved:
        torch.testing.assert_close(half[name], (start[name] + end[name]) / 2)


def test_the_trained_encoder_serves_space_and_frameworks(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    from langchain_unisem import UniSemEmbeddings
    from llama_index_unisem import UniSemEmbedding

    train_encoder(str(tiny), pairs, tmp_path / "my-encoder", recipe=HEADS)
    name = str(tmp_path / "my-encoder")
    expected = load_encoder(name).encode_texts(["a red tiger"], role="query")[0]
    root = pairs[0].image.root
    assert root is not None
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=name, image_roots=[root]) as space:
        space.add([Record(id="a", image=pairs[0].image)])
        assert space.search(text="a red tiger")[0].record.id == "a"
    with SemanticSpace.open(tmp_path / "s.unisem") as space:  # it remembers
        assert space.encoder.fingerprint == load_encoder(name).fingerprint
    found = UniSemEmbeddings(model=name).embed_query("a red tiger")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    found = UniSemEmbedding(model_name=name).get_query_embedding("a red tiger")
    np.testing.assert_allclose(found, expected, atol=1e-5)
