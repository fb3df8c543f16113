"""Hard negatives, batches, columns and evaluation against brute force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.support import numbered_pairs
from unisem import Record, SemanticSpace
from unisem.errors import TrainingError
from unisem.pairs import Input, PairDataset
from unisem.pairs.dataset import Ids
from unisem.pairs.pair import CAPTIONED
from unisem.records import EmbeddedRecord, Vector
from unisem.training.inputs.collator import PairCollator
from unisem.training.inputs.columns import Column, StoredColumn
from unisem.training.inputs.feature_cache import FeatureCache
from unisem.training.inputs.mining import mine_hard_negatives, store_of_images
from unisem.training.inputs.prepared import Inputs, PreparedPairs, Slot
from unisem.training.loop.evaluator import rank_pairs


def unit(seed: int, rows: int, size: int = 8) -> Vector:
    vectors = np.random.default_rng(seed).standard_normal((rows, size)).astype(np.float32)
    unit: Vector = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def prepared(
    texts: Vector, images: Vector, image_of: Ids, caption_ids: Ids, start: int = 0
) -> PreparedPairs:
    """Pairs of stored vectors; a picture's id is its number, counted from ``start`` on."""
    slots: list[Slot] = [("document", "image")] * len(images) + [("query", "text")] * len(texts)
    columns: dict[Slot, Column] = {
        ("document", "image"): StoredColumn(images, "image"),
        ("query", "text"): StoredColumn(texts, "text"),
    }
    places = np.concatenate([np.arange(len(images)), np.arange(len(texts))])
    return PreparedPairs(
        Inputs(columns, tuple(slots), places),
        np.arange(len(texts)) + len(images),
        image_of,
        ((),) * len(texts),
        caption_ids,
        start + np.arange(len(slots)),
    )


@pytest.fixture
def dataset(tmp_path: Path) -> PairDataset:
    """24 pairs of 12 pictures; two captions are the same."""
    pairs = list(numbered_pairs(tmp_path, 12, captions=2))
    pairs[4] = replace(pairs[4], query=pairs[0].query)
    return PairDataset(tuple(pairs))


def brute_force(
    dataset: PairDataset, captions: Vector, images: Vector, count: int, margin: float
) -> list[list[int]]:
    """The pictures that should be found, nearest first."""
    image_ids, caption_ids = dataset.document_ids, dataset.query_ids
    expected = []
    for row in range(len(dataset)):
        scores = images @ captions[row]
        own = scores[image_ids[row]]
        right = {
            int(image_ids[other])
            for other in range(len(dataset))
            if image_ids[other] == image_ids[row] or caption_ids[other] == caption_ids[row]
        }
        wrong = [p for p in np.argsort(-scores) if p not in right]
        expected.append([p for p in wrong if scores[p] <= own - margin * abs(own)][:count])
    return expected


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.5])
def test_negatives_are_those_of_an_exhaustive_search(dataset: PairDataset, margin: float) -> None:
    captions, images = unit(1, len(dataset)), unit(2, 12)
    store = store_of_images(dataset, dataset.document_ids, images)
    mined = mine_hard_negatives(store, dataset, captions, count=3, margin=margin)
    assert mined.shape == (len(dataset), 3)
    filled = 0
    for row, expected in enumerate(brute_force(dataset, captions, images, 3, margin)):
        found = dataset.document_ids[mined[row]].tolist()
        assert found[: len(expected)] == expected
        filled += 3 - len(expected)
        assert dataset.document_ids[row] not in found
        assert dataset.query_ids[row] not in dataset.query_ids[mined[row]]
    assert filled  # by random ones; some captions have no three wrong pictures below the margin
    again = mine_hard_negatives(store, dataset, captions, count=3, margin=margin)
    assert np.array_equal(mined, again)


def test_a_space_s_own_store_can_be_mined(
    dataset: PairDataset, space: SemanticSpace, tmp_path: Path
) -> None:
    captions, images = unit(1, len(dataset), 48), unit(2, 12, 48)
    seen: dict[str, EmbeddedRecord] = {}
    for pair, row in zip(dataset, dataset.document_ids, strict=True):
        record = Record(id=f"photo {row}", image=replace(pair.image, root=None))
        seen[record.id] = EmbeddedRecord(record, {"image": images[row]})
    space.add_embedded(seen.values())
    space.add([Record(id="other", text="a text that is nobody's picture")])
    mined = mine_hard_negatives(space.store, dataset, captions, count=2, margin=0.05)
    for row, expected in enumerate(brute_force(dataset, captions, images, 2, 0.05)):
        assert dataset.document_ids[mined[row]].tolist()[: len(expected)] == expected


def test_a_store_without_the_pictures_is_refused(
    dataset: PairDataset, space: SemanticSpace
) -> None:
    with pytest.raises(TrainingError, match="none of the dataset's pictures"):
        mine_hard_negatives(space.store, dataset, unit(1, len(dataset)))


def test_pairs_without_any_negative_are_refused(dataset: PairDataset) -> None:
    same = PairDataset(tuple(replace(pair, query=Input("the same")) for pair in dataset))
    store = store_of_images(same, same.document_ids, unit(2, 12))
    with pytest.raises(TrainingError, match="has no negative"):
        mine_hard_negatives(store, same, unit(1, len(same)))


def test_no_right_document_is_mined_whichever_pair_names_it_first(dataset: PairDataset) -> None:
    first, second, third, *others = dataset.select(range(0, 24, 2))
    pairs = PairDataset(
        (replace(first, query=third.query), first, replace(second, query=first.query), *others)
    )
    vectors = np.tile(unit(1, 1), (len(pairs), 1))
    images = unit(2, len(pairs))
    images[0] = vectors[0]  # the first document is nearest to every query
    store = store_of_images(pairs, pairs.document_ids, images)
    mined = mine_hard_negatives(store, pairs, vectors, count=len(pairs) - 3, margin=-9.0)
    assert pairs.document_ids[0] not in pairs.document_ids[mined[2]]


def test_a_batch_has_its_negatives_last_and_their_labels() -> None:
    texts, images = unit(1, 4), unit(2, 3)
    image_of, captions = np.array([0, 1, 2, 0]), np.array([7, 8, 9, 6])
    collate = PairCollator(
        prepared(texts, images, image_of, captions, start=10),
        np.array([[1, 2], [0, 2], [0, 1], [2, 1]]),
    )
    batch = collate([{"pair": 3}, {"pair": 1}])
    assert list(batch) == [
        *("query_sentence_embedding", "query_modality"),
        *("document_sentence_embedding", "document_modality", "label"),
    ]
    np.testing.assert_array_equal(batch["query_sentence_embedding"], texts[[3, 1]])
    shown = [3, 1, 2, 1, 0, 2]  # the pairs, then the first one's negatives, then the second's
    np.testing.assert_array_equal(batch["document_sentence_embedding"], images[image_of[shown]])
    assert batch["label"].tolist() == [[int(image_of[p]) + 10, int(captions[p])] for p in shown]


class Same(torch.nn.Module):
    """A model whose vectors are its features."""

    device = torch.device("cpu")

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return features


def test_equal_vectors_tie_in_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The products of a matrix differ in their last bits by place; ranks must not."""
    texts, images = unit(1, 37, 384), unit(2, 37, 384)
    images[36] = images[0]
    numbers = np.arange(37)
    pairs = prepared(texts, images, numbers, numbers)
    for at_once in (1, 100, 1_000_000):
        monkeypatch.setattr("unisem.training.loop.evaluator._SCORES_AT_ONCE", at_once)
        ranked = rank_pairs(Same(), pairs)[CAPTIONED]
        first, last = ranked.query_to_document.first[0], ranked.query_to_document.first[36]
        scores = (texts.astype(np.float64) @ images.astype(np.float64).T).astype(np.float32)
        assert first == 1 + (scores[0] > scores[0, 0]).sum()
        assert last == 2 + (scores[36] > scores[36, 0]).sum()  # behind its equal, by place
        images_first = ranked.document_to_query.first
        expected = [1 + (scores[:, n] > scores[n, n]).sum() for n in range(37)]
        assert images_first.tolist() == expected


def test_evaluation_ranks_distinct_captions_and_pictures() -> None:
    texts, images = unit(1, 5), unit(2, 4)
    # Pair 3 has picture 0 again; pairs 1 and 4 have the same caption, of pictures 1 and 3.
    texts[4] = texts[1]
    pairs = prepared(texts, images, np.array([0, 1, 2, 0, 3]), np.array([0, 1, 2, 3, 1]))
    ranked = rank_pairs(Same(), pairs)[CAPTIONED]
    for caption, relevant in enumerate([[0], [1, 3], [2], [0]]):
        order = np.argsort(-(images @ texts[caption]), kind="stable").tolist()
        expected = sorted(order.index(image) + 1 for image in relevant)
        assert ranked.query_to_document.ranks[caption].tolist() == expected
    for image, relevant in enumerate([[0, 3], [1], [2], [1]]):
        order = np.argsort(-(texts[:4] @ images[image]), kind="stable").tolist()
        expected = sorted(order.index(caption) + 1 for caption in relevant)
        assert ranked.document_to_query.ranks[image].tolist() == expected


def test_features_are_computed_once_per_content(tmp_path: Path) -> None:
    asked: list[list[int]] = []

    def compute(positions: list[int]) -> Vector:
        asked.append(positions)
        return np.array([[position, 1] for position in positions], np.float32)

    cache = FeatureCache(tmp_path / "f")
    found = cache.get(["a", "b", "a"], compute)
    assert found.tolist() == [[0, 1], [1, 1], [0, 1]]
    found = FeatureCache(tmp_path / "f").get(["c", "b"], compute)
    assert found.tolist() == [[0, 1], [1, 1]]
    assert asked == [[0, 1], [0]]
    assert sorted(p.name for p in (tmp_path / "f").iterdir()) == [
        "000000.safetensors",
        "000001.safetensors",
    ]
