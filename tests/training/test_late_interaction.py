"""Late interaction by the recipe: what is written, what is learned, what was interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from tests.support.checkpoints import save_clip
from tests.support.networks import save_bert
from tests.training.support import assert_same_weights, changed, coloured_pairs
from unisem import Record, load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import TrainingError
from unisem.pairs import Input, Pair, PairDataset
from unisem.rerank import load_reranker
from unisem.rerank.late_interaction import LateInteractionReranker
from unisem.training import Recipe, train_encoder
from unisem.training.losses import LateInteraction, PairLoss, Sigmoid
from unisem.training.report import TrainingReport

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe(late_interaction=6, epochs=2, batch_size=9, learning_rate=1e-2, interpolation=1.0)


@pytest.fixture(scope="module")
def run(tiny: Path, pairs: PairDataset, tmp_path_factory: pytest.TempPathFactory) -> TrainingReport:
    """A run over stored token vectors."""
    place = tmp_path_factory.mktemp("late") / "judge"
    return train_encoder(str(tiny), pairs, place, held_out=pairs, recipe=RECIPE)


def judged(place: Path, pairs: PairDataset) -> Any:
    """``(n, n)`` a saved model's scores of every picture for every caption."""
    reranker = load_reranker(place, device="cpu")
    records = [Record(id=f"{n}", image=pair.document.image) for n, pair in enumerate(pairs)]
    return np.stack([reranker.score(pair.query.text, None, records) for pair in pairs])


def test_what_is_written_judges_as_was_reported(run: TrainingReport, pairs: PairDataset) -> None:
    assert type(load_reranker(run.output)) is LateInteractionReranker
    scores = judged(run.output, pairs)
    ranks = (scores > scores.diagonal()[:, None]).sum(axis=1) + 1
    assert run.after is not None
    found = run.after["text to image"].query_to_document
    by_caption = sorted(range(len(pairs)), key=lambda row: int(pairs.query_ids[row]))
    assert found.first.tolist() == ranks[by_caption].tolist()
    backwards = run.after["text to image"].document_to_query
    ranks = (scores > scores.diagonal()).sum(axis=0) + 1
    by_picture = sorted(range(len(pairs)), key=lambda row: int(pairs.document_ids[row]))
    assert backwards.first.tolist() == ranks[by_picture].tolist()
    assert len(set(ranks.tolist())) > 3  # not all the same by accident


def every_place(module: Any, given: Any, features: dict[str, Any]) -> None:
    features["attention_mask"] = torch.ones(features["token_embeddings"].shape[:2])


def test_its_scores_are_those_of_sentence_transformers(
    run: TrainingReport, pairs: PairDataset
) -> None:
    model = MultiVectorEncoder(str(run.output), device="cpu", local_files_only=True)
    texts = [str(pair.query.text) for pair in pairs][:4]
    pictures = [Image.open(str(pair.document.image.path)) for pair in pairs][:4]
    for module in model.modules():
        if getattr(module, "modalities", None) == ["image"]:  # does not say that each is a token
            module.register_forward_hook(every_place)
        if isinstance(module, torch.nn.Softmax):  # of a start model, which it stands behind
            module.dim = -1
    queries = model.encode_query([{"text": text} for text in texts])
    documents = model.encode_document([{"image": picture} for picture in pictures])
    assert {vectors.shape[1] for vectors in [*queries, *documents]} == {6}
    expected = model.similarity(queries, documents).numpy()
    np.testing.assert_allclose(judged(run.output, pairs)[:4, :4], expected, atol=1e-5)


def test_networks_that_are_frozen_stay_to_the_byte(run: TrainingReport, tiny: Path) -> None:
    assert (run.output / "training.json").is_file()
    for side in ("text", "image"):
        name = f"{side}_0_Transformer/model.safetensors"
        assert (run.output / name).read_bytes() == (tiny / name).read_bytes()


@pytest.mark.parametrize(
    "freeze",
    [
        pytest.param(None, id="stored"),
        pytest.param((), id="everything", marks=pytest.mark.slow),
    ],
)
def test_what_was_interrupted_goes_on_as_if_nothing_had_happened(
    freeze: Any, tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, freeze=freeze, checkpoint_steps=1, learning_rate=1e-3)
    whole = train_encoder(str(tiny), pairs, tmp_path / "whole", recipe=recipe)
    assert whole.steps == 4

    def stop(what: str, done: int, total: int) -> None:
        if what == "training" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_encoder(str(tiny), pairs, tmp_path / "again", recipe=recipe, progress=stop)
    report = train_encoder(str(tiny), pairs, tmp_path / "again", recipe=recipe, resume=True)
    assert report.steps == 4
    assert_same_weights(tmp_path / "whole", tmp_path / "again")


@pytest.mark.slow
def test_cached_gradients_are_the_plain_ones(
    run: TrainingReport, tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, mini_batch_size=4)
    train_encoder(str(tiny), pairs, tmp_path / "cached", recipe=recipe)
    assert_same_weights(run.output, tmp_path / "cached", tolerance=1e-4)


def test_texts_alone_become_a_colbert(tmp_path: Path) -> None:
    bert = Transformer(str(save_bert(tmp_path / "bert")))
    model = SentenceTransformer(modules=[bert, Pooling(32)])
    model.save(str(tmp_path / "texts"), create_model_card=False)
    words = ("red", "blue", "a", "word", "tiger cat")
    texts = [f"{one} {other}" for one in words for other in words]
    pairs = PairDataset(tuple(Pair(Input(text), Input(f"{text} a")) for text in texts))
    train_encoder(str(tmp_path / "texts"), pairs, tmp_path / "out", recipe=RECIPE)
    reranker = load_reranker(tmp_path / "out", device="cpu")
    assert not reranker.sees_images  # type: ignore[attr-defined]
    records = [Record(id=text, text=text) for text in texts]
    scores = reranker.score(texts[3], None, records)
    assert scores.argmax() == 3
    assert scores[3] == pytest.approx(1, abs=1e-5)


def test_a_layer_of_that_many_numbers_is_the_projection(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    start = SentenceTransformer(str(tiny), device="cpu")
    sides = {}
    for side in ("text", "image"):
        (tower, *_) = start[0].sub_modules[side]
        config = {side: {"method": "forward", "method_output_name": "last_hidden_state"}}
        tower.modality_config, tower.module_output_name = config, "token_embeddings"
        dense = Dense(32, 6, module_input_name="token_embeddings")
        sides[side] = [tower, dense, Pooling(6)]
    router = Router(sides, route_mappings={(None, side): side for side in sides})
    SentenceTransformer(modules=[router]).save(str(tmp_path / "start"), create_model_card=False)
    train_encoder(str(tmp_path / "start"), pairs, tmp_path / "out", recipe=RECIPE)
    kept = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert kept == {f"{side}_{name}" for side in sides for name in ("0_Transformer", "1_Dense")} | {
        "1_Normalize"
    }
    assert changed(tmp_path / "start", tmp_path / "out")


@pytest.mark.parametrize(
    "options",
    [
        {"mask_above": 0.9},
        {"mask_above": 0.0},
        {"dimensions": (4,)},
        {"adversary": "reversal"},
        {"hard_negatives": 1},
        {"loss": "sigmoid"},
    ],
)
def test_settings_of_one_vector_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="late_interaction"):
        replace(RECIPE, **options)


def test_what_cannot_be_trained_so_is_told(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match="no network of its own for texts"):
        train_encoder(str(save_clip(tmp_path / "clip")), pairs, tmp_path / "out", recipe=RECIPE)
    with pytest.raises(TrainingError, match="saved whole"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=RECIPE, save="adapter")
    losses: list[tuple[Recipe, PairLoss]] = [(RECIPE, Sigmoid()), (Recipe(), LateInteraction())]
    for recipe, loss in losses:
        with pytest.raises(TrainingError, match=f"{type(loss).__name__} compares"):
            train_encoder("not even looked for", pairs, tmp_path / "o", recipe=recipe, loss=loss)
    monkeypatch.setattr("unisem.training.run.process_count", lambda: 2)
    with pytest.raises(TrainingError, match="in one process"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=RECIPE)


def test_tokens_that_half_precision_cannot_hold_are_told(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(tiny), device="cpu"))
    *_, norm = (it for it in encoder.model.modules() if isinstance(it, torch.nn.LayerNorm))
    with torch.no_grad():
        norm.weight.mul_(1e6)
    with pytest.raises(TrainingError, match="half precision"):
        train_encoder(encoder, pairs, tmp_path / "out", recipe=RECIPE)


@pytest.mark.slow
@pytest.mark.parametrize("freeze", [None, ()], ids=["heads", "everything"])
def test_twenty_examples_are_learned_by_heart(freeze: Any, tiny: Path, tmp_path: Path) -> None:
    pairs = coloured_pairs(tmp_path / "pictures", 20)
    steps = {"epochs": 200, "batch_size": 20, "checkpoint_steps": 999}
    recipe = Recipe(
        late_interaction=16,
        freeze=freeze,
        learning_rate=1e-2,
        temperature=0.02,
        interpolation=1.0,
        **steps,
    )
    report = train_encoder(str(tiny), pairs, tmp_path / "out", held_out=pairs, recipe=recipe)
    changes = report.change(1)
    assert changes is not None
    assert changes[0].before < 0.5
    assert changes[0].after == 1
    assert (judged(tmp_path / "out", pairs).argmax(axis=1) == np.arange(20)).all()
