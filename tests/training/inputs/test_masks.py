"""Which documents of a batch are no negatives, beside a table that is written out."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch

from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.pairs import Input, Pair, PairDataset
from unisem.training.inputs.collator import PairCollator
from unisem.training.inputs.mining import mine_hard_negatives, store_of_images
from unisem.training.inputs.prepared import PreparedPairs
from unisem.training.inputs.preparing import prepare_pairs
from unisem.training.loop.evaluator import embed, rank_pairs
from unisem.training.losses import PairLabels

A, B, C, D, E, F, G, X = map(
    Input, ("red", "blue", "a", "word", "tiger", "ask", "red red", "blue red")
)
PAIRS = PairDataset(
    (
        Pair(A, B),
        Pair(B, A),  # the other way round
        Pair(A, C),
        Pair(D, C),  # right for two queries, each of which has another document, too
        Pair(D, B),
        Pair(D, E),
        Pair(F, G, negatives=(C, F, X)),
    )
)
ROWS = [0, 1, 5, 6]  # ask for A, B, D and F


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> SentenceTransformerEncoder:
    return cast(SentenceTransformerEncoder, load_encoder(str(tiny), device="cpu"))


@pytest.fixture(scope="module")
def prepared(
    encoder: SentenceTransformerEncoder, tmp_path_factory: pytest.TempPathFactory
) -> PreparedPairs:
    return prepare_pairs(encoder, PAIRS, {}, tmp_path_factory.mktemp("features"))


def test_what_is_right_elsewhere_or_the_query_itself_is_no_negative(
    prepared: PreparedPairs,
) -> None:
    batch = PairCollator(prepared)([{"pair": row} for row in ROWS])
    labels = PairLabels.of(batch["label"])
    written_out = torch.tensor(
        [
            # B  A  E  G  C  F  X
            [1, 1, 0, 0, 1, 0, 0],  # A: finds B and C, and is itself
            [1, 1, 0, 0, 0, 0, 0],  # B: finds A, and is itself
            [1, 0, 1, 0, 1, 0, 0],  # D: finds C, B and E
            [0, 0, 0, 1, 0, 1, 0],  # F: finds G, and is itself, though it was given as wrong
        ]
    ).bool()
    assert torch.equal(labels.matches(4), written_out)
    assert torch.equal(labels.image_matches(4), written_out[:, :4].T)
    assert torch.equal(labels.first(4).matching(labels), written_out)


def test_queries_of_other_batches_are_left_out_unless_processes_share_one(
    prepared: PreparedPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    collator = PairCollator(prepared)
    alone = collator([{"pair": row} for row in ROWS[:2]])["label"]  # A finds B, B finds A
    monkeypatch.setattr("unisem.training.inputs.collator.several_processes", lambda: True)
    shared = collator([{"pair": row} for row in ROWS[:2]])["label"]
    known = {*alone[:, 1].tolist(), -1}
    for few, every in zip(alone[:, 2:].tolist(), shared[:, 2:].tolist(), strict=True):
        assert {*few, -1} == {*every, -1} & known
    assert not set(shared[:, 2:].flatten().tolist()) <= known


def test_mined_negatives_are_labelled_with_all_that_they_are_right_for(
    prepared: PreparedPairs,
) -> None:
    negatives = torch.full((len(PAIRS), 1), 3).numpy()  # of the pair of D and C
    batch = PairCollator(prepared, negatives)([{"pair": row} for row in ROWS])
    matches = PairLabels.of(batch["label"]).matches(4)[:, 4:]
    for column in range(4):
        assert matches[:, column].tolist() == [True, False, True, False]


def test_no_query_is_its_own_negative_or_candidate(
    encoder: SentenceTransformerEncoder, prepared: PreparedPairs
) -> None:
    queries, documents = (
        embed(encoder.model, prepared.inputs, side)
        for side in (prepared.queries, prepared.documents)
    )
    store = store_of_images(PAIRS, torch.arange(len(PAIRS)).numpy(), documents)
    mined = mine_hard_negatives(store, PAIRS, queries, count=3, margin=-9)
    for pair, wrong in zip(PAIRS, mined.tolist(), strict=True):
        assert pair.query not in {PAIRS[row].document for row in wrong}
    asked = list(dict.fromkeys(pair.query for pair in PAIRS))
    candidates = [B, A, C, E, G, F, X]
    vectors = encoder.encode_texts([str(one.text) for one in candidates], role="document")
    (ranked,) = rank_pairs(encoder.model, prepared).values()
    for row, query in enumerate(asked):
        scores = encoder.encode_texts([str(query.text)], role="query")[0] @ vectors.T
        others = {c: s for c, s in zip(candidates, scores.tolist(), strict=True) if c != query}
        order = sorted(others, key=lambda one: -others[one])
        right = [pair.document for pair in PAIRS if pair.query == query]
        found = sorted(order.index(one) + 1 for one in right)
        assert ranked.query_to_document.ranks[row].tolist() == found
