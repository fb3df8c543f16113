"""Late interaction from tiny checkpoints, against MaxSim in loops over the libraries' vectors."""

from __future__ import annotations

import pickle
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.matching_checkpoints import save_colbert, save_colpali, save_two_towers_of_tokens
from tests.support.networks import without_weights
from tests.support.pictures import encoded, noise
from tests.support.toy import ToyEncoder
from unisem import ImageRef, Record, SemanticSpace
from unisem.errors import RerankerError
from unisem.ingest.token_making import TokenReport
from unisem.rerank import LateInteractionReranker, Reranker, load_reranker
from unisem.rerank.int8_vectors import Int8Form

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


def test_an_image_tower_of_one_size_is_asked_for_every_place(tmp_path: Path) -> None:
    """sentence-transformers itself finds no mask there, and fails."""
    import torch
    from torch.nn.functional import normalize

    reranker = loaded(save_two_towers_of_tokens(tmp_path))
    (model, _), picture = reranker.model, noise(1)
    vectors = {}
    with torch.no_grad():
        for side, thing in (("text", "a red dog"), ("image", picture)):
            tower, dense = model.sub_modules[side]
            inputs = tower.preprocess([{side: thing}])
            inputs = {name: it for name, it in inputs.items() if hasattr(it, "shape")}
            hidden = tower.auto_model(**inputs).last_hidden_state[0]
            vectors[side] = normalize(dense.linear(hidden), dim=-1).numpy()
    assert len(vectors["image"]) > 4
    scores = reranker.score("a red dog", None, [Record(image=picture)])
    assert scores[0] == pytest.approx(max_sim(vectors["text"], vectors["image"]), abs=1e-4)
    (tokens,) = reranker.tokens_of_prepared([reranker.prepare_image(encoded(picture))])
    np.testing.assert_allclose(tokens, vectors["image"], atol=1e-5)


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


@pytest.fixture
def space(tmp_path: Path) -> SemanticSpace:
    """Texts, pictures, captioned pictures and copies, in a space that says nothing of tokens."""
    space = SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder())
    space.add(
        [
            *(Record(id=f"text {n}", text=text) for n, text in enumerate(TEXTS)),
            Record(id="copied text", text=TEXTS[0]),
            *(Record(id=f"picture {n}", image=noise(n)) for n in range(3)),
            Record(id="captioned", image=noise(1), text="a red car"),
        ]
    )
    return space


def judged(space: SemanticSpace, query: str, reranker: Reranker) -> dict[str, float | None]:
    hits = space.search(query, k=20, reranker=reranker, duplicates="keep")
    return {hit.record.id: hit.judged for hit in hits}


@pytest.mark.parametrize("factor", [1, 2])
def test_kept_vectors_give_brute_force_over_what_is_kept(
    space: SemanticSpace, colpali: Path, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    reranker = loaded(colpali, pool_factor=factor)
    before = judged(space, "a red dog", reranker)
    report = space.make_tokens(reranker)
    assert report == TokenReport(made=3, texts_made=6)
    assert space.make_tokens(loaded(colpali)) == TokenReport(present=3, texts_present=6)
    store = loaded(colpali).tokens_in(space.path or Path())
    assert store.form == Int8Form(factor)
    query = colpali_vectors(colpali, text=["a red dog"])
    records = {record.id: record for record in space.store.select()}
    expected = {}
    for name, record in records.items():
        keys = [record.image.sha256] if record.image else []
        keys += [reranker.text_key(record.text)] if record.text else []
        parts = store.read([str(key) for key in keys]).values()
        assert len(parts) == len(keys)
        expected[name] = max_sim(query, np.concatenate([part.whole() for part in parts]))
    encode = type(reranker.model).encode_document

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a record is encoded again")

    monkeypatch.setattr(type(reranker.model), "encode_document", refused)
    fresh = loaded(colpali)
    found = judged(space, "a red dog", fresh)
    assert found.keys() == expected.keys()
    for name, score in expected.items():
        assert found[name] == pytest.approx(score, abs=1e-4)
        if factor == 1:
            assert found[name] == pytest.approx(before[name], abs=0.1)
    monkeypatch.setattr(type(reranker.model), "encode_document", encode)
    store.keep_only([])  # what lacks is made, pooled and rounded likewise
    for name, score in judged(space, "a red dog", fresh).items():
        assert score == pytest.approx(expected[name], abs=0.02)


def test_a_space_that_is_told_keeps_what_is_added(
    tmp_path: Path, colpali: Path, colbert: Path
) -> None:
    place = tmp_path / "told.unisem"
    with SemanticSpace.open(place, encoder=ToyEncoder(), tokens_for=str(colpali)) as space:
        space.add([Record(id="t", text="snow"), Record(id="p", image=noise(1), text="a red car")])
        space.add([Record(id="e", text=" "), Record(id="long", text="the cat " * 5000)])
        assert space.make_tokens(loaded(colpali)) == TokenReport(present=1, texts_present=3)
        space.delete(["t"])
        assert space.make_tokens(loaded(colpali)) == TokenReport(
            present=1, texts_present=2, dropped=1
        )
        again = space.make_tokens(loaded(colpali, pool_factor=2))
        assert (again.made, again.texts_made) == (1, 2)
        space.add([Record(id="new", text="the dog")])
        assert space.make_tokens(loaded(colpali)).texts_present == 3
    with SemanticSpace.open(place, encoder=ToyEncoder(), tokens_for=str(colbert)) as space:
        report = space.make_tokens(loaded(colbert))
        assert (report.made, report.present, report.texts_made) == (0, 0, 3), "it sees no pictures"
        assert judged(space, "a dog", loaded(colbert)).keys() == {"new", "p", "long", "e"}


def test_what_is_damaged_or_a_strangers_is_made_anew(
    space: SemanticSpace, colpali: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reranker = loaded(colpali)
    space.make_tokens(reranker)
    whole = judged(space, "a red dog", reranker)
    (file,) = (space.path or Path()).glob("tokens-*.sqlite")
    content = Int8Form().packed(np.eye(3, dtype=np.float32))  # whole, and of another width
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE tokens SET checksum = 0 WHERE image LIKE 'text:%'")
        connection.execute(
            "UPDATE tokens SET numbers = ?, checksum = ? WHERE image NOT LIKE 'text:%'",
            (content, zlib.crc32(content)),
        )
    for name, score in judged(space, "a red dog", reranker).items():
        assert score == pytest.approx(whole[name], abs=0.02)
    assert "are damaged, and are not used" in caplog.text


@pytest.mark.parametrize("number", [-5, 0, 2**31 - 1])
def test_a_factor_that_is_none_is_as_no_file(
    space: SemanticSpace, colpali: Path, number: int
) -> None:
    reranker = loaded(colpali)
    fresh = judged(space, "a red dog", reranker)
    space.make_tokens(reranker)
    (file,) = (space.path or Path()).glob("tokens-*.sqlite")
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version = {number}")
    assert judged(space, "a red dog", reranker) == pytest.approx(fresh)


def test_what_is_added_must_be_pooled_as_the_space_is(tmp_path: Path, colpali: Path) -> None:
    place = tmp_path / "pooled.unisem"
    with SemanticSpace.open(place, encoder=ToyEncoder(), tokens_for=str(colpali)) as space:
        space.add([Record(id="t", text="snow")])
    other = loaded(colpali, pool_factor=3)
    with pytest.raises(RerankerError, match="pooled by 1, not by 3"):
        SemanticSpace.open(place, encoder=ToyEncoder(), tokens_for=other)
    with SemanticSpace.open(place, encoder=ToyEncoder()) as space:
        space.make_tokens(other)
    with SemanticSpace.open(place, encoder=ToyEncoder(), tokens_for=other) as space:
        space.add([Record(id="u", text="ice")])


def test_what_the_model_fails_on_costs_itself_only(
    space: SemanticSpace, colpali: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = loaded(colpali)
    vectors = reranker._vectors

    def strange(sides: Any, task: Any) -> Any:
        if task == "document" and any(text == "blue" for text, _ in sides):
            raise RuntimeError("this model does not like blue")
        return vectors(sides, task)

    monkeypatch.setattr(reranker, "_vectors", strange)
    report = space.make_tokens(reranker)
    assert (report.made, report.texts_made) == (3, 5)
    (skipped,) = report.skipped
    assert (skipped.name, "does not like blue" in skipped.reason) == ("text 1", True)
    found = judged(space, "a red dog", reranker)
    assert [name for name, score in found.items() if score is None] == ["text 1"]
