"""`train_encoder` from end to end, on networks of a few thousand numbers."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.training.support import coloured_pairs, numbered_pairs
from unisem import Record, SemanticSpace, load_encoder
from unisem.errors import TrainingError
from unisem.training import Augmentation, PairDataset, Recipe, train_encoder
from unisem.training.checkpoints import checkpoints, read_checkpoint
from unisem.training.losses import InfoNCE, PairLabels, PairLoss

HEADS = Recipe(epochs=4, batch_size=6)
EVERY_HEAD = Recipe(epochs=1, batch_size=9, loss="sigmoid")
EVERYTHING = Recipe(epochs=3, batch_size=6, freeze=(), learning_rate=1e-3)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairDataset:
    return coloured_pairs(tmp_path_factory.mktemp("colours"), 18)


def weights(folder: Path) -> dict[str, Tensor]:
    found = {}
    for path in sorted(folder.rglob("*.safetensors")):
        for name, tensor in load_file(path).items():
            found[f"{path.relative_to(folder)}:{name}"] = tensor
    return found


def assert_same_weights(one: Path, other: Path, tolerance: float = 0.0) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=tolerance, msg=name)


def changed(one: Path, other: Path) -> set[str]:
    ours, theirs = weights(one), weights(other)
    return {name for name in ours if not torch.equal(ours[name], theirs[name])}


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

    monkeypatch.setattr("unisem.training.preparing.compute_features", never)
    train_encoder(str(tiny), pairs, tmp_path / "two", recipe=HEADS, features=tmp_path / "f")
    assert_same_weights(tmp_path / "one", tmp_path / "two")
    # A trained head changes nothing before it.
    monkeypatch.undo()
    one, two = (str(tmp_path / name) for name in ("one", "two"))
    train_encoder(one, pairs, tmp_path / "three", recipe=HEADS, features=tmp_path / "f")
    monkeypatch.setattr("unisem.training.preparing.compute_features", never)
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


@pytest.mark.slow
def test_early_stopping_keeps_the_best(tiny: Path, pairs: PairDataset, tmp_path: Path) -> None:
    class Worse(PairLoss):
        """Drives pairs apart, so that no evaluation is better than the first."""

        def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
            return (texts * images).sum(dim=1).mean()

    recipe = Recipe(epochs=30, patience=2, validation=0.3, k=1, learning_rate=1e-2)
    report = train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, loss=Worse())
    assert report.steps < 30


@pytest.mark.slow
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    """SIGKILL in the middle of an epoch; dropout, moments, order, temperature must all go on."""
    root = pairs[0].image.root
    program = textwrap.dedent(
        f"""
        import os, signal, sys, torch
        from pathlib import Path
        from tests.training.support import coloured_pairs
        from unisem.training import Recipe, train_encoder
        torch.set_num_threads(1)
        def stop(what, done, total):
            if what == "training" and done == 8:
                os.kill(os.getpid(), signal.SIGKILL)
        train_encoder(
            {str(tiny)!r}, coloured_pairs(Path({str(root)!r}), 18), {str(tmp_path / "killed")!r},
            recipe=Recipe(**{OPTIONS!r}), progress=stop,
        )
        """
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert not (tmp_path / "killed").exists()
    kept = checkpoints(tmp_path / "killed.training" / "checkpoints")
    assert [path.name for path in kept] == ["checkpoint-5"]
    assert not [p for p in kept[-1].iterdir() if p.suffix not in (".safetensors", ".json")]
    for name, resume in (("killed", True), ("whole", False)):
        report = train_encoder(
            str(tiny), pairs, tmp_path / name, recipe=Recipe(**OPTIONS), resume=resume
        )
        assert report.steps == 12
    assert changed(tiny, tmp_path / "whole")
    assert_same_weights(tmp_path / "killed", tmp_path / "whole")


OPTIONS: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 6,
    "freeze": (),
    "learning_rate": 1e-3,
    "learned_temperature": True,
    "checkpoint_steps": 5,
}


class Broken(PairLoss):
    """InfoNCE until a step, then something else."""

    def __init__(self, step: int, then: Any) -> None:
        super().__init__()
        self.inner = InfoNCE()
        self.step, self.then, self.calls = step, then, 0

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        self.calls += 1
        value = self.inner(texts, images, labels)
        return self.then(value) if self.calls == self.step else value


def test_a_loss_that_is_no_number_ends_the_run_and_spares_the_checkpoint(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    loss = Broken(8, lambda value: value * float("nan"))
    with pytest.raises(TrainingError, match=r"became nan at step 7.*checkpoint-6, is intact"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=loss)
    (*_, last) = checkpoints(tmp_path / "out.training" / "checkpoints")
    read_checkpoint(last)
    whole = tmp_path / "whole"
    train_encoder(str(tiny), pairs, whole, recipe=HEADS, loss=Broken(99, None))
    train_encoder(
        str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=Broken(99, None), resume=True
    )
    assert_same_weights(tmp_path / "out", whole)


def test_a_full_disk_spares_the_last_checkpoint(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(value: Tensor) -> Tensor:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        return value

    try:
        with pytest.raises(TrainingError, match=r"checkpoint-6 cannot be written.*checkpoint-3,"):
            train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=Broken(5, fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    folder = tmp_path / "out.training" / "checkpoints"
    assert [path.name for path in folder.iterdir()] == ["checkpoint-3"]
    train_encoder(
        str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=Broken(99, None), resume=True
    )
    train_encoder(str(tiny), pairs, tmp_path / "whole", recipe=HEADS, loss=Broken(99, None))
    assert_same_weights(tmp_path / "out", tmp_path / "whole")


@pytest.mark.slow
def test_an_encoder_that_cannot_be_written_leaves_the_old_one(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS)
    before = weights(tmp_path / "out")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unisem.training.saving.save_model", full)
    with pytest.raises(TrainingError, match="No space left"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=EVERYTHING)
    assert all(torch.equal(weights(tmp_path / "out")[name], before[name]) for name in before)


def test_a_damaged_checkpoint_is_named(tiny: Path, pairs: PairDataset, tmp_path: Path) -> None:
    loss = Broken(8, lambda value: value * float("nan"))
    with pytest.raises(TrainingError, match="nan"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=loss)
    (*_, last) = checkpoints(tmp_path / "out.training" / "checkpoints")
    tensors = last / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:50])
    with pytest.raises(TrainingError, match=f"{last.name} cannot be read"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, resume=True)


@pytest.mark.slow
def test_another_run_s_checkpoint_is_refused(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    loss = Broken(8, lambda value: value * float("nan"))
    with pytest.raises(TrainingError, match="nan"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=loss)
    with pytest.raises(TrainingError, match="trained other parameters"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=EVERYTHING, resume=True)


def test_pairs_that_cannot_be_trained_on_are_refused(tiny: Path, tmp_path: Path) -> None:
    dataset = numbered_pairs(tmp_path / "p", 4, captions=2)
    same = PairDataset(
        tuple(pair.__class__(pair.image, "the same", pair.picture) for pair in dataset)
    )
    for pairs, recipe, says in (
        (dataset.select([0]), HEADS, "1 usable pair"),
        (PairDataset(()), HEADS, "0 usable pair"),
        (dataset.select([0, 1]), HEADS, "the same picture"),
        (same, HEADS, r"all captions are equal \('the same'\)"),
        (dataset, Recipe(batch_size=9), "batch_size 9 is larger than the 8 training pairs"),
    ):
        with pytest.raises(TrainingError, match=says):
            train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe)
    assert not (tmp_path / "out").exists()


def test_a_directory_of_something_else_is_not_replaced(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TrainingError, match="name another directory"):
        train_encoder(str(tiny), pairs, tmp_path, recipe=HEADS)
    with pytest.raises(TrainingError, match="is a file"):
        train_encoder(str(tiny), pairs, tmp_path / "thesis.txt", recipe=HEADS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"loss": "hinge"}, "loss must be"),
        ({"batch_size": 1}, "one pair has no negatives"),
        ({"epochs": 0}, "epochs must be"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"interpolation": 2.0}, "interpolation"),
        ({"precision": "int8"}, "precision"),
        ({"hard_negatives": -1}, "hard_negatives"),
    ],
)
def test_nonsense_recipes_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Recipe(**options)


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
