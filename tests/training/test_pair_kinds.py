"""Training on pairs of every kind: what is learned, its gradients, and what was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from torch import Tensor, nn

from tests.support.networks import save_bert, save_prompted_vlm
from tests.support.pictures import noise
from tests.training.support import assert_same_weights, changed
from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs import Input, Pair, PairDataset, check_pairs
from unisem.training import Recipe, train_encoder
from unisem.training.inputs.collator import PairCollator
from unisem.training.inputs.mining import negatives_of
from unisem.training.inputs.preparing import prepare_pairs
from unisem.training.loop.fitting import fit_pairs
from unisem.training.losses import CachedLoss, EmbeddingLoss, InfoNCE

pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = ("red", "blue", "a", "word", "tiger cat", "http dog")  # each model knows one of two
KINDS = {
    "text to image": ("text", "image"),
    "text to text": ("text", "text"),
    "image to image": ("image", "image"),
    "both to image": ("both", "image"),
    "text to both": ("text", "both"),
}
RECIPE = Recipe(epochs=1, batch_size=4, freeze=(), learning_rate=1e-3, checkpoint_steps=1)
OPTIONS: dict[str, dict[str, Any]] = {
    "remine": {"hard_negatives": 3, "remine": True, "negative_share": 1.0},
    "guide": {"guide": "what the plain recipe learned"},
    "rates": {"learning_rate": 1e-3, "head_rate": 1e-2, "text_tower_rate": 5e-3, "loss_rate": 1e-3}
    | {"learned_temperature": True},
}
"""What a recipe may have beside, by the name of its option."""


@pytest.fixture(scope="module")
def fusing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads texts, pictures, and both at once."""
    return save_prompted_vlm(tmp_path_factory.mktemp("fusing"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures of noise, no two alike."""
    folder = tmp_path_factory.mktemp("noise")
    for number in range(60):
        noise(number).save(folder / f"{number}.png")
    return folder


def made(folder: Path, form: str, number: int) -> Input:
    """An input of words that are a number's bits, or of a picture that shows it."""
    text = " ".join(word for bit, word in enumerate(WORDS) if (number + 1) >> bit & 1)
    image = ImageRef(path=folder / f"{number % 60}.png", root=folder)
    if form == "text":
        return Input(text)
    return Input(text if form == "both" else None, image, f"{number % 60}")


def examples(folder: Path, kind: str, count: int = 20, negatives: bool = False) -> PairDataset:
    """Pairs of a kind; a query's number is its document's plus thirty."""
    query, document = KINDS[kind]
    pairs = []
    for number in range(count):
        wrong = (
            made(folder, document, (number + 7) % 20),  # right for another query
            made(folder, document, 20 + number % 10),
            made(folder, "text", 50 + number % 5),
        )
        pairs.append(
            Pair(
                made(folder, query, number + 30),
                made(folder, document, number),
                wrong[: 1 + number % 3] if negatives else (),
            )
        )
    return check_pairs(PairDataset(tuple(pairs))).dataset


def encoder_for(kind: str, tiny: Path, fusing: Path) -> SentenceTransformerEncoder:
    name = str(fusing if "both" in kind else tiny)
    return cast(SentenceTransformerEncoder, load_encoder(name, device="cpu"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "negatives", "option"),
    [
        *((kind, negatives, None) for kind in KINDS for negatives in (False, True)),
        *(("text to image", False, option) for option in OPTIONS),
        *(("text to text", True, option) for option in OPTIONS),
    ],
)
def test_twenty_examples_are_learned_by_heart(
    kind: str,
    negatives: bool,
    option: str | None,
    tiny: Path,
    fusing: Path,
    pictures: Path,
    tmp_path: Path,
) -> None:
    pairs = examples(pictures, kind, negatives=negatives)
    assert pairs.kinds == {kind: 20}
    steps = {"epochs": 200, "batch_size": 20, "checkpoint_steps": 999}
    recipe = Recipe(freeze=(), learning_rate=1e-2, temperature=0.02, **steps)
    if option == "guide":
        train_encoder(encoder_for(kind, tiny, fusing), pairs, tmp_path / "guide", recipe=recipe)
        recipe = replace(recipe, guide=str(tmp_path / "guide"))
    elif option is not None:
        recipe = replace(recipe, **OPTIONS[option])
    encoder = encoder_for(kind, tiny, fusing)
    report = train_encoder(encoder, pairs, tmp_path / "out", held_out=pairs, recipe=recipe)
    changes = report.change(1, kind)
    assert changes is not None
    assert changes[0].before < 0.5
    assert changes[0].after == 1
    # What the report says is what the saved encoder does, asked as a search asks it.
    loaded = load_encoder(str(tmp_path / "out"), device="cpu")
    queries = encoded(loaded, [pair.query for pair in pairs], "query")
    documents = encoded(loaded, [pair.document for pair in pairs], "document")
    assert ((queries @ documents.T).argmax(axis=1) == np.arange(20)).all()


def encoded(encoder: Any, inputs: Sequence[Input], role: str) -> Any:
    texts, images = [one.text for one in inputs], [one.image for one in inputs]
    match inputs[0].form:
        case "text":
            return encoder.encode_texts(texts, role=role)
        case "image":
            return encoder.encode_images(images)
        case _:
            return encoder.encode_pairs(texts, images, role)


def vector(encoder: SentenceTransformerEncoder, one: Input, role: Any) -> Tensor:
    """An input alone, by sentence-transformers' own words, with the role's prompt."""
    value: dict[str, Any] = {}
    if one.image is not None:
        value["image"] = Image.open(cast(Path, one.image.path)).convert("RGB")
        role = "document" if one.text is None else role
    if one.text is not None:
        value["text"] = one.text
    model = encoder.model
    features = model.preprocess([value], prompt=model.prompts.get(role), task=role)
    return nn.functional.normalize(model(features)["sentence_embedding"][0], dim=0)


def written_out(
    encoder: SentenceTransformerEncoder, pairs: Sequence[Pair], right: set[tuple[Input, Input]]
) -> Tensor:
    """InfoNCE at .1 over a batch, given negatives for everybody, term by term."""
    queries = [vector(encoder, pair.query, "query") for pair in pairs]
    columns = [pair.document for pair in pairs] + [n for pair in pairs for n in pair.negatives]
    documents = [vector(encoder, one, "document") for one in columns]
    terms = []
    for i, pair in enumerate(pairs):
        exponents = [
            torch.exp(queries[i] @ documents[j] / 0.1)
            for j, one in enumerate(columns)
            if j == i or ((pair.query, one) not in right and pair.query != one)
        ]
        terms.append(-torch.log(torch.exp(queries[i] @ documents[i] / 0.1) / sum(exponents)) / 2)
        exponents = [
            torch.exp(queries[j] @ documents[i] / 0.1)
            for j, other in enumerate(pairs)
            if j == i
            or ((other.query, pair.document) not in right and other.query != pair.document)
        ]
        terms.append(-torch.log(torch.exp(queries[i] @ documents[i] / 0.1) / sum(exponents)) / 2)
    return torch.stack(terms).sum() / len(pairs)


@pytest.mark.parametrize("cached", [False, True], ids=["plain", "cached"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_loss_written_out(
    kind: str, cached: bool, tiny: Path, fusing: Path, pictures: Path, tmp_path: Path
) -> None:
    pairs = list(examples(pictures, kind, 10, negatives=True))
    pairs[1] = Pair(pairs[0].query, pairs[1].document, pairs[1].negatives)  # two right documents
    pairs[4] = Pair(pairs[2].query, pairs[8].document)  # which are right for two queries
    if kind in ("text to text", "image to image"):
        pairs[3] = Pair(pairs[0].document, pairs[0].query)
    dataset = PairDataset(tuple(pairs))
    encoder = encoder_for(kind, tiny, fusing)
    encoder.model.requires_grad_(True).eval()
    prepared = prepare_pairs(encoder, dataset, {}, tmp_path)
    collator = PairCollator(prepared)
    rows = [0, 1, 2, 3, 8, 9]  # the document of 9 is a negative of 2
    batch = collator([{"pair": row} for row in rows])
    loss = InfoNCE(0.1)
    module: nn.Module = (
        CachedLoss(encoder.model, loss, mini_batch_size=2)
        if cached
        else EmbeddingLoss(encoder.model, loss)
    )
    found = gradients(encoder.model, lambda: module(collator.columns(batch), batch["label"]))
    chosen = [dataset[row] for row in rows]
    right = {(pair.query, pair.document) for pair in dataset}
    expected = gradients(encoder.model, lambda: written_out(encoder, chosen, right))
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5, msg=name)
    assert max(float(gradient.abs().max()) for gradient in found.values()) > 1e-3


def gradients(model: nn.Module, loss: Any) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    loss().backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


@pytest.fixture(scope="module")
def mixed(pictures: Path) -> PairDataset:
    """Pairs of the kinds that two towers read, some with negatives of another form."""
    kinds = ("text to image", "text to text", "image to image")
    return PairDataset(
        tuple(p for kind in kinds for p in examples(pictures, kind, 8, negatives=True))
    )


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="everything"),
        pytest.param({"freeze": None}, id="stored"),
        *(pytest.param(OPTIONS[name], id=name, marks=pytest.mark.slow) for name in OPTIONS),
    ],
)
def test_what_was_interrupted_goes_on_as_if_nothing_had_happened(
    options: dict[str, Any], tiny: Path, mixed: PairDataset, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, **options)
    if recipe.guide is not None:
        recipe = replace(recipe, guide=str(tiny))
    if recipe.remine:
        recipe = replace(recipe, epochs=2)
    whole = train_encoder(str(tiny), mixed, tmp_path / "whole", recipe=recipe)
    assert whole.steps == 6 * (recipe.epochs or 0)

    def stop(what: str, done: int, total: int) -> None:
        if what == "training" and done == total - 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_encoder(str(tiny), mixed, tmp_path / "again", recipe=recipe, progress=stop)
    report = train_encoder(str(tiny), mixed, tmp_path / "again", recipe=recipe, resume=True)
    assert report.steps == whole.steps
    assert changed(tiny, tmp_path / "whole")
    assert_same_weights(tmp_path / "whole", tmp_path / "again")


def test_a_report_tells_kinds_apart(tiny: Path, mixed: PairDataset, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1)
    report = train_encoder(str(tiny), mixed, tmp_path / "out", held_out=mixed, recipe=recipe)
    found = report.as_json()
    assert list(found["before"]) == [
        *("text to image", "image to text"),
        *("text to text", "text to text, backwards"),
        *("image to image", "image to image, backwards"),
    ]
    encoder = load_encoder(str(tiny), device="cpu")
    hits = []
    for kind in mixed.kinds:
        part = [pair for pair in mixed if pair.kind == kind]
        given = [one for pair in part for one in pair.negatives]
        columns = list(dict.fromkeys([*(pair.document for pair in part), *given]))
        vectors = np.stack([encoded(encoder, [one], "document")[0] for one in columns])
        asked = encoded(encoder, [pair.query for pair in part], "query")
        ranks = (asked @ vectors.T).argmax(axis=1) == np.arange(len(part))
        assert found["before"][kind]["hit@1"] == pytest.approx(ranks.mean())
        hits += ranks.tolist()
    pooled = report.change(1)
    assert pooled is not None
    assert pooled[0].before == pytest.approx(np.mean(hits))


def test_two_towers_read_no_text_with_a_picture(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    pairs = examples(pictures, "both to image", 4)
    with pytest.raises(TrainingError, match="does not read a text and a picture together"):
        train_encoder(str(tiny), pairs, tmp_path / "out")
    assert not (tmp_path / "out.training").exists()


def test_texts_alone_need_no_picture_side(pictures: Path, tmp_path: Path) -> None:
    bert = Transformer(str(save_bert(tmp_path / "bert")))
    model = SentenceTransformer(modules=[bert, Pooling(32)])
    model.save(str(tmp_path / "texts"), create_model_card=False)
    pairs = examples(pictures, "text to text", 8)
    report = train_encoder(
        str(tmp_path / "texts"), pairs, tmp_path / "out", held_out=pairs, recipe=RECIPE
    )
    assert report.steps == 2
    assert changed(tmp_path / "texts", tmp_path / "out")


def test_negatives_are_mined_within_a_kind(tiny: Path, mixed: PairDataset, tmp_path: Path) -> None:
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(tiny), device="cpu"))
    prepared = prepare_pairs(encoder, mixed, {}, tmp_path)
    found = negatives_of(encoder.model, prepared, mixed, Recipe(hard_negatives=2))
    assert found is not None
    for row, wrong in enumerate(found.tolist()):
        assert {mixed[other].kind for other in wrong} == {mixed[row].kind}
        assert mixed.document_ids[row] not in mixed.document_ids[wrong]


def test_several_processes_need_cached_gradients(
    tiny: Path, mixed: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(tiny), device="cpu"))
    prepared = prepare_pairs(encoder, mixed, {}, tmp_path)
    monkeypatch.setattr("unisem.training.loop.fitting.process_count", lambda: 2)
    with pytest.raises(TrainingError, match="--mini-batch-size"):
        fit_pairs(encoder.model, prepared, InfoNCE(), RECIPE, {}, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pair: Pair(pair.query, Input("one")), "all text to text pairs have the same doc"),
        (lambda pair: Pair(Input("one"), pair.document), "all queries, text to text, are equal"),
    ],
)
def test_a_kind_in_which_there_is_nothing_to_tell_apart(
    change: Any, message: str, tiny: Path, pictures: Path, tmp_path: Path
) -> None:
    usual = examples(pictures, "text to image", 4)
    alike = tuple(change(pair) for pair in examples(pictures, "text to text", 4))
    with pytest.raises(TrainingError, match=message):
        train_encoder(str(tiny), PairDataset((*usual, *alike)), tmp_path / "out")


@pytest.mark.parametrize("captioned", [0, 4], ids=["alone", "with others"])
def test_kinds_that_meet_nothing_that_is_trained_are_named(
    captioned: int, tiny: Path, pictures: Path, tmp_path: Path
) -> None:
    texts = examples(pictures, "text to text", 6)
    pairs = PairDataset((*texts, *examples(pictures, "text to image", captioned)))
    recipe = replace(RECIPE, freeze=("text",))
    with pytest.raises(TrainingError, match="all that reads text to text pairs is frozen"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe)
