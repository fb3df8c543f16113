"""`CrossModalReranker`: stored tokens, directories of strangers, hits that cannot be judged."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.encoders.architectures.joint import save_siglip_2
from tests.rerank.cross_modal.support import picture, save_random
from tests.support.checkpoints import save_two_towers
from unisem import ImageRef, Record
from unisem.encoders import Encoder, load_encoder
from unisem.errors import RerankerError
from unisem.models.finding import digest_model
from unisem.rerank import load_reranker
from unisem.rerank.cross_modal import CrossModalReranker


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_two_towers(tmp_path_factory.mktemp("towers"))))


@pytest.fixture
def directory(tmp_path: Path, encoder: Encoder) -> Path:
    return save_random(tmp_path / "model", encoder, side=4, picture_tokens=16)


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    made = []
    for number, colour in enumerate(("red", "green", "blue", "black", "orange")):
        path = tmp_path / f"{colour}.png"
        picture(colour, 5 * number).save(path)
        made.append(Record(id=colour, image=str(path)))
    return made


@pytest.mark.parametrize("tower_words", [False, True])
def test_stored_tokens_are_judged_as_fresh_ones(
    tower_words: bool, tmp_path: Path, encoder: Encoder, records: list[Record]
) -> None:
    saved = save_random(
        tmp_path / "model", encoder, tower_words=tower_words, side=4, picture_tokens=16
    )
    model = CrossModalReranker("m", saved, encoder=encoder)
    fresh = model.score("a red circle", None, records)
    assert np.isfinite(fresh).all()
    assert len(set(fresh.tolist())) == len(records)
    images = [record.image for record in records]
    stored = np.frombuffer(model.tokens_of(images).tobytes(), np.float16)  # type: ignore[arg-type]
    stored = stored.reshape(len(records), *model.token_shape)
    other = CrossModalReranker("m", saved, encoder=encoder)
    alone = [float(other.score_tokens("a red circle", stored[n : n + 1])[0]) for n in range(5)]
    np.testing.assert_allclose(other.score_tokens("a red circle", stored), alone, rtol=1e-5)
    again = np.concatenate([model.tokens_of([image]) for image in images])  # type: ignore[list-item]
    assert again.tobytes() == stored.tobytes()
    assert model.score_tokens("a red circle", stored).tobytes() == fresh.tobytes()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("tower_words", [False, True])
def test_half_precision_judges_the_same_tokens(
    dtype: str, tower_words: bool, tmp_path: Path, encoder: Encoder, records: list[Record]
) -> None:
    saved = save_random(
        tmp_path / "model", encoder, tower_words=tower_words, side=4, picture_tokens=16
    )
    whole = CrossModalReranker("m", saved, encoder=encoder, device="cpu")
    half = load_reranker(saved, encoder=encoder, device="cpu", dtype=dtype)
    assert isinstance(half, CrossModalReranker)
    assert half.fingerprint == whole.fingerprint
    images = [record.image for record in records if record.image]
    assert half.tokens_of(images).tobytes() == whole.tokens_of(images).tobytes()
    expected = whole.score("a red circle", None, records)
    found = half.score("a red circle", None, records)
    assert half.model.dtype == getattr(torch, dtype)
    assert 0 < np.abs(found - expected).max() < 0.02
    assert len(set(found.tolist())) == len(records)
    again = pickle.loads(pickle.dumps(half))
    assert again.score("a red circle", None, records).tobytes() == found.tobytes()


def test_a_device_that_is_not_there_is_named(
    directory: Path, encoder: Encoder, records: list[Record]
) -> None:
    with pytest.raises(ValueError, match="dtype must be"):
        CrossModalReranker("m", directory, encoder=encoder, dtype="int8")
    model = CrossModalReranker("m", directory, encoder=encoder, device="nowhere")
    with pytest.raises(RerankerError, match="cannot compute on 'nowhere'"):
        model.score("red", None, records)


def test_without_the_towers_stored_tokens_are_judged(
    tmp_path: Path, encoder: Encoder, records: list[Record]
) -> None:
    saved = save_random(tmp_path / "model", encoder, side=4, picture_tokens=16)
    tokens = CrossModalReranker("m", saved, encoder=encoder).tokens_of([picture("red")])
    model = CrossModalReranker("m", saved)  # names an encoder by its folder
    assert np.isfinite(model.score_tokens("a red circle", tokens)).all()
    with pytest.raises(RerankerError, match=r"trained with the encoder .*pass it"):
        model.score("a", None, records)


def test_what_cannot_be_judged_keeps_its_place(
    directory: Path, encoder: Encoder, records: list[Record], caplog: pytest.LogCaptureFixture
) -> None:
    model = CrossModalReranker("m", directory, encoder=encoder, batch_size=2)
    whole = model.score("red", None, records)
    Path(str(records[1].image.path)).unlink()  # type: ignore[union-attr]
    Path(str(records[2].image.path)).write_bytes(b"no picture")  # type: ignore[union-attr]
    records[3] = Record(id="words", text="red")
    with caplog.at_level(logging.WARNING):
        scores = model.score("red", None, records)
    assert np.isnan(scores).tolist() == [False, True, True, True, False]
    np.testing.assert_allclose(scores[[0, 4]], whole[[0, 4]], rtol=1e-5)
    assert "'green'" in caplog.text
    assert "'blue'" in caplog.text
    assert model.score("red", None, []).shape == (0,)
    tokens = model.tokens_of([])
    assert tokens.shape == (0, 16, 8)
    assert model.score_tokens("red", tokens).shape == (0,)
    long = model.score("word " * 10_000, None, records[:1])
    assert np.isfinite(long).all()
    assert np.isfinite(model.score("", None, records[:1])).all()


def test_a_query_with_a_picture_is_refused(
    directory: Path, encoder: Encoder, records: list[Record]
) -> None:
    model = CrossModalReranker("m", directory, encoder=encoder)
    asked = ImageRef.of(picture("red"))
    for text in ("red", None):
        with pytest.raises(RerankerError, match="judges a text against pictures"):
            model.score(text, asked, records)


def test_tokens_of_another_model_or_damaged_ones(directory: Path, encoder: Encoder) -> None:
    model = CrossModalReranker("m", directory, encoder=encoder)
    tokens = np.concatenate([model.tokens_of([picture("red")])] * 3)
    tokens[1, 2, 3] = np.inf
    scores = model.score_tokens("red", tokens)
    assert np.isnan(scores).tolist() == [False, True, False]
    with pytest.raises(RerankerError, match=r"must be \(n, 16, 8\)"):
        model.score_tokens("red", tokens[:, :7])


def test_the_fingerprint_is_that_of_tower_and_adapter(
    tmp_path: Path, encoder: Encoder, directory: Path
) -> None:
    def fingerprint() -> str:
        return CrossModalReranker("m", directory).fingerprint

    before = fingerprint()
    weights = load_file(directory / "model.safetensors")
    weights["verdict"] += 1  # no token depends on it
    save_file(weights, directory / "model.safetensors")
    assert fingerprint() == before
    weights["adapter.project.0.weight"][0, 0] += 1
    save_file(weights, directory / "model.safetensors")
    assert fingerprint() != before


def test_another_encoder_is_refused(directory: Path, records: list[Record]) -> None:
    model = CrossModalReranker("m", directory, encoder=load_encoder("mini"))
    with pytest.raises(RerankerError, match="another image tower than that of the encoder 'mini'"):
        model.score("red", None, records)


def test_what_changed_of_the_encoder_is_told(tmp_path: Path, encoder: Encoder) -> None:
    base = save_siglip_2(tmp_path / "siglip2")
    siglip = load_encoder(str(base))
    directory = save_random(tmp_path / "model", siglip, tower_words=True, side=4, picture_tokens=16)
    red = picture("red")

    def message(asked: Encoder, **towers: str) -> str:
        damage_config(directory, **towers)
        model = CrossModalReranker("m", directory, encoder=asked)
        with pytest.raises(RerankerError) as raised:
            model.score_tokens("red", model.tokens_of([red]))
        return str(raised.value)

    digest = digest_model(base)  # of the files alone, as before texts were put into lower case
    assert "were prepared as they are now" in message(siglip, text_tower=digest)
    former = hashlib.sha256(f"1 {digest} 4".encode()).hexdigest()
    assert "were prepared as they are now" in message(siglip, image_tower=former)
    assert "has changed since" in message(siglip, image_tower="0", encoder=siglip.name)
    assert f"({siglip.name!r})" in message(encoder, image_tower="0")


def test_models_go_to_other_processes(
    directory: Path, encoder: Encoder, records: list[Record]
) -> None:
    model = CrossModalReranker("m", directory, encoder=encoder)
    other = pickle.loads(pickle.dumps(model))
    assert other.score("red", None, records).tolist() == model.score("red", None, records).tolist()


def damage_config(directory: Path, **changes: object) -> None:
    config = json.loads((directory / "config.json").read_text())
    config["settings"] |= changes.pop("settings", {})
    (directory / "config.json").write_text(json.dumps(config | changes))


def test_directories_that_are_not_whole_are_refused(directory: Path) -> None:
    def message() -> str:
        with pytest.raises(RerankerError) as caught:
            CrossModalReranker("m", directory).score_tokens("red", np.zeros((1, 16, 8), np.float16))
        return str(caught.value)

    files = {path: path.read_bytes() for path in directory.iterdir()}

    def mended() -> None:
        for path, data in files.items():
            path.write_bytes(data)

    for changes, said in (
        ({"kind": "another"}, "no cross-modal Transformer"),
        ({"format": 2}, "this version reads 1"),
        ({"encoder": 3}, "must be strings"),
        ({"text_tower": "a"}, "do not go together"),
        ({"settings": {"width": 10**9}}, "width must be"),
        ({"settings": {"layers": 10**6}}, "layers"),
        ({"settings": {"width": 1 << 19}}, "misshapen"),
        ({"settings": {"words": 7}}, "its tokenizer has"),
        ({"settings": {"more": 1}}, "settings must be"),
    ):
        damage_config(directory, **changes)  # type: ignore[arg-type]
        assert said in message(), changes
        mended()
    for name in files:
        name.unlink()
        assert name.name in message()
        mended()
        name.write_bytes(b"{")
        assert name.name in message()
        mended()
    weights = load_file(directory / "model.safetensors")
    weights["verdict"][0] = torch.nan
    save_file(weights, directory / "model.safetensors")
    assert "not finite" in message()
    del weights["verdict"]
    save_file(weights, directory / "model.safetensors")
    assert "verdict missing" in message()
