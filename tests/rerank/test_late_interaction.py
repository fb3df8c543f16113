"""Late interaction from tiny checkpoints, against MaxSim in loops over the libraries' vectors."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.matching_checkpoints import save_colbert, save_colpali
from tests.support.networks import without_weights
from tests.support.pictures import encoded, noise
from unisem import ImageRef, Record
from unisem.errors import RerankerError
from unisem.rerank import LateInteractionReranker, load_reranker

TEXTS = ["a red cat", "blue", "the dog and the car in the snow", "snow", "a a a"]


@pytest.fixture(scope="module")
def colbert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_colbert(tmp_path_factory.mktemp("colbert"))


@pytest.fixture(scope="module")
def colpali(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_colpali(tmp_path_factory.mktemp("colpali"))


def max_sim(query: Any, document: Any) -> float:
    """The definition, in loops."""
    return sum(max(float(np.dot(one, other)) for other in document) for one in query)


def loaded(directory: Path, **settings: Any) -> LateInteractionReranker:
    reranker = load_reranker(directory, **settings)
    assert isinstance(reranker, LateInteractionReranker)
    return reranker


def colpali_vectors(directory: Path, **inputs: Any) -> list[np.ndarray]:
    """What transformers alone makes of one text or one picture."""
    import torch
    from transformers import ColPaliForRetrieval, ColPaliProcessor

    model = ColPaliForRetrieval.from_pretrained(directory).eval()
    features = ColPaliProcessor.from_pretrained(directory)(**inputs, return_tensors="pt")
    features.pop("labels", None)
    with torch.no_grad():
        found = model(**features).embeddings[0]
    return list(found[features["attention_mask"][0].bool()].numpy())


def test_texts_are_scored_by_max_sim_over_the_models_own_vectors(colbert: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(colbert), local_files_only=True, device="cpu")
    query = model.encode_query(["a red dog"], convert_to_numpy=True)[0]
    expected = [max_sim(query, model.encode_document([t], convert_to_numpy=True)[0]) for t in TEXTS]
    assert np.ptp(expected) > 0.1
    records = [Record(id=str(n), text=text) for n, text in enumerate(TEXTS)]
    for size in (1, 2, 16):
        scores = loaded(colbert, batch_size=size).score("a red dog", None, records)
        np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_pictures_and_captions_are_scored_by_the_best_token_of_either(colpali: Path) -> None:
    first, second = noise(1, (40, 30)), noise(2)
    query = colpali_vectors(colpali, text=["a red dog"])
    by_picture = [colpali_vectors(colpali, images=[picture]) for picture in (first, second)]
    caption = colpali_vectors(colpali, text=["a red car"])
    expected = [
        max_sim(query, by_picture[0]),
        max_sim(query, [*by_picture[1], *caption]),
        max_sim(query, caption),
    ]
    records = [
        Record(id="p", image=first),
        Record(id="c", image=second, text="a red car"),
        Record(id="t", text="a red car"),
    ]
    scores = loaded(colpali).score("a red dog", None, records)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    of_picture = loaded(colpali).score(None, ImageRef.of(first), records)
    asked = max_sim(by_picture[0], [*by_picture[1], *caption])
    np.testing.assert_allclose(of_picture[1], asked, rtol=1e-5)


def test_a_model_of_texts_judges_captions_and_no_pictures(colbert: Path) -> None:
    reranker = loaded(colbert)
    assert not reranker.sees_images
    records = [Record(id="p", image=noise(1)), Record(id="c", image=noise(1), text="a red car")]
    scores = reranker.score("red", None, [*records, Record(id="t", text="a red car")])
    assert np.isnan(scores[0])
    assert scores[1] == pytest.approx(scores[2], abs=1e-5)
    with pytest.raises(RerankerError, match="reads texts only"):
        reranker.score(None, ImageRef.of(noise(1)), records)


def test_what_cannot_be_used_costs_its_own_place_only(colpali: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.png"
    gone.write_bytes(encoded(noise(1)))
    records = [
        Record(id="gone", image=ImageRef.of(gone)),
        Record(id="captioned", image=ImageRef.of(gone), text="a red car"),
        Record(id="marks", text="a <image> red [SEP] car"),
        Record(id="empty", text=" "),
        Record(id="good", text="a red car"),
    ]
    gone.unlink()
    scores = loaded(colpali).score("red", None, records)
    assert np.isnan(scores).tolist() == [True, False, False, True, False]
    assert scores[1] == pytest.approx(scores[4], abs=1e-4)
    assert loaded(colpali).score("red", None, []).shape == (0,)


def test_a_text_of_ten_thousand_words_is_cut_by_the_tokenizer(colbert: Path) -> None:
    long = Record(id="long", text="the cat " * 5000)
    scores = loaded(colbert).score("a red cat", None, [long, Record(id="t", text="red")])
    assert np.isfinite(scores).all()


def test_copies_and_half_precision(colbert: Path) -> None:
    records = [Record(id=str(n), text=text) for n, text in enumerate(TEXTS)]
    reranker = loaded(colbert, batch_size=3)
    expected = reranker.score("red", None, records)
    copy = pickle.loads(pickle.dumps(reranker))
    np.testing.assert_allclose(copy.score("red", None, records), expected, atol=1e-5)
    half = loaded(colbert, dtype="bfloat16").score("red", None, records)
    np.testing.assert_allclose(half, expected, atol=0.1)


def test_a_model_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    model = save_colpali(tmp_path)
    without_weights(model, "embedding_proj_layer")
    with pytest.raises(RerankerError, match="is not whole: its files lack"):
        load_reranker(model).score("a", None, [Record(text="red")])


def test_settings_of_cross_encoders_are_refused(colbert: Path) -> None:
    with pytest.raises(ValueError, match="has no activation"):
        load_reranker(colbert, activation="sigmoid")
