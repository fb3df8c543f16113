"""Whoever asks, rerankers judge the tokens that the space keeps, and look at nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from langchain_unisem import UniSemReranker as DocumentReranker
from langchain_unisem import UniSemRetriever as DocumentRetriever
from llama_index_unisem import UniSemReranker as NodeReranker
from llama_index_unisem import UniSemRetriever as NodeRetriever
from tests.rerank.cross_modal.support import picture, save_random
from tests.support.checkpoints import save_two_towers
from tests.support.matching_checkpoints import save_two_towers_of_tokens
from unisem import Record, SemanticSpace, load_encoder
from unisem.encoders import Encoder
from unisem.rerank import LateInteractionReranker
from unisem.rerank.cross_modal import CrossModalReranker

QUERY = "a red tiger"


def cross_modal(directory: Path, encoder: Encoder) -> CrossModalReranker:
    model = save_random(directory / "model", encoder, side=4, picture_tokens=16)
    return CrossModalReranker("m", model, encoder=encoder)


def late_interaction(directory: Path, encoder: Encoder) -> LateInteractionReranker:
    del encoder
    return LateInteractionReranker("m", save_two_towers_of_tokens(directory), pool_factor=2)


@pytest.mark.parametrize("made", [cross_modal, late_interaction])
def test_no_door_looks_at_pictures(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: Callable[[Path, Encoder], CrossModalReranker | LateInteractionReranker],
) -> None:
    encoder = load_encoder(str(save_two_towers(tmp_path / "towers")))
    judge = made(tmp_path / "judge", encoder)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        records = [Record(id="text", text=QUERY)]
        for number, colour in enumerate(("red", "green", "blue", "black")):
            picture(colour, 5 * number).save(tmp_path / f"{colour}.png")
            records.append(Record(id=colour, image=tmp_path / f"{colour}.png"))
        space.add(records)
        fresh = [(hit.record.id, hit.score) for hit in space.search(QUERY, k=5, reranker=judge)]
        space.make_tokens(judge)
        expected = [(hit.record.id, hit.score) for hit in space.search(QUERY, k=5, reranker=judge)]
        assert (expected == fresh) == isinstance(judge, CrossModalReranker)

        def refused(*_: object) -> None:
            raise AssertionError("a picture was opened")

        monkeypatch.setattr(type(judge), "prepare_image", refused)
        monkeypatch.setattr(LateInteractionReranker, "_open", refused)
        hits = space.search(QUERY, k=5, reranker=judge)
        assert [(hit.record.id, hit.score) for hit in hits] == expected
        found = DocumentRetriever(space=space, k=5, reranker=judge).invoke(QUERY)
        assert [(it.id, it.metadata["relevance_score"]) for it in found] == expected
        plain = DocumentRetriever(space=space, k=5).invoke(QUERY)
        best = DocumentReranker(reranker=judge, space=space).compress_documents(plain, QUERY)
        assert [(it.id, it.metadata["relevance_score"]) for it in best] == expected
        nodes = NodeRetriever(space=space, similarity_top_k=5, reranker=judge).retrieve(QUERY)
        assert [(it.node_id, it.score) for it in nodes] == expected
        plain_nodes = NodeRetriever(space=space, similarity_top_k=5).retrieve(QUERY)
        ranked = NodeReranker(reranker=judge, space=space).postprocess_nodes(
            plain_nodes, query_str=QUERY
        )
        assert [(it.node_id, it.score) for it in ranked] == expected
