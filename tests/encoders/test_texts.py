"""A text is a text: what it says of a model's own words, and how long it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.support.networks import save_bert, save_joint, save_network, save_prompted_vlm
from tests.support.pictures import noise
from unisem import Record, SemanticSpace, load_encoder
from unisem.common.unit_vectors import unit_rows
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import EncoderError


@pytest.mark.parametrize("role", ["query", "document"])
def test_the_name_of_an_end_token_ends_no_text(tmp_path: Path, role: Any) -> None:
    texts = [
        "a cat",
        "a cat <|endoftext|> and a red car in the snow",
        "a cat <|endoftext|> of dogs",
    ]
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(save_joint(tmp_path))))
    cut, whole, other = encoder.encode_texts(texts, role=role)
    assert float(whole @ cut) < 0.9999
    assert float(whole @ other) < 0.9999
    tokens = encoder.preprocess_texts(texts, role)["input_ids"].tolist()  # as training has them
    end = encoder.model.tokenizer.eos_token_id
    spoken = [row[: row.index(end)] for row in tokens]
    assert len(spoken[0]) < len(spoken[2]) < len(spoken[1])


@pytest.mark.parametrize("token", ["[SEP]", "[sep]", "[PAD]", "[[SEP]SEP]"])
def test_the_names_of_berts_tokens_are_words(tmp_path: Path, token: str) -> None:
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(save_bert(tmp_path))))
    tokens = encoder.preprocess_texts([f"a {token} cat"], "document")["input_ids"][0].tolist()
    assert (tokens.count(0), tokens.count(2), tokens.count(3)) == (0, 1, 1)  # one begins, one ends
    assert len(tokens) > 4


def test_mini_reads_the_names_of_its_tokens_as_words() -> None:
    encoder = cast(SentenceTransformerEncoder, load_encoder("mini", runtime="torch"))
    tokenizer = encoder.model[0].sub_modules["text"][0].tokenizer
    tokens = encoder.preprocess_texts(["a cat [SEP] a dog [PAD] [MASK]"], "document")["input_ids"][
        0
    ]
    assert tokens.tolist().count(tokenizer.sep_token_id) == 1
    assert not {tokenizer.pad_token_id, tokenizer.mask_token_id} & set(tokens.tolist())


def test_the_name_of_the_picture_token_is_text(tmp_path: Path) -> None:
    model = save_prompted_vlm(tmp_path)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=str(model)) as space:
        space.add(
            [
                Record(id="1", text="a cat"),
                Record(id="2", text="a photo <image> of the snow"),
                Record(id="3", text="a <IMAGE>", image=noise(0)),
            ]
        )
        assert len(space) == 3
        assert len(space.search("what is <image>?", k=3)) == 3


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Bert", {"max_position_embeddings": 30}),
        ("MPNet", {"max_position_embeddings": 32}),
        ("Roberta", {"max_position_embeddings": 32, "pad_token_id": 1}),
        ("Roberta", {"max_position_embeddings": 31, "pad_token_id": 0}),
        ("XLMRoberta", {"max_position_embeddings": 32, "pad_token_id": 1}),
        ("Camembert", {"max_position_embeddings": 32, "pad_token_id": 1}),
        ("DistilBert", {"max_position_embeddings": 30, "dim": 32, "hidden_dim": 64}),
        ("Electra", {"max_position_embeddings": 30, "embedding_size": 32}),
    ],
)
def test_a_text_that_is_too_long_is_cut_at_the_last_position(
    tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    model = save_network(tmp_path, kind, limit=None, vocabulary=22, **settings)
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(model)))
    long, longer, last = encoder.encode_texts(
        [
            "word " * 400,
            "word " * 900,
            "word " * 27 + "cat " + "word " * 20,
        ]
    )
    np.testing.assert_allclose(long, longer, atol=1e-5)
    assert float(long @ last) < 0.99999  # the 28th word, before [SEP], is still read
    assert encoder.preprocess_texts(["word " * 400], "query")["input_ids"].shape == (1, 30)


def test_relative_positions_have_no_limit(tmp_path: Path) -> None:
    settings = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2}
    model = save_network(tmp_path, "T5", limit=None, **settings)
    encoder = load_encoder(str(model))
    short, long = encoder.encode_texts(["word " * 600, "word " * 600 + "cat dog"])
    assert float(short @ long) < 0.999999


def test_half_precision_that_overflows_names_its_remedy(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = save_joint(tmp_path)
    weights = load_file(model / "model.safetensors")
    weights["text_projection.weight"] *= 1e7
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match="bfloat16 or float32"):
        load_encoder(str(model), dtype="float16").encode_texts(["a red cat in the snow"])
    assert load_encoder(str(model), dtype="bfloat16").encode_texts(["a cat"]).shape == (1, 24)


def test_vectors_without_a_direction_are_refused_and_others_kept_to_the_bit() -> None:
    rows = np.array([[3.0, 4.0], [1e30, 0.0]], np.float32)
    unit = unit_rows(rows, "x", EncoderError)
    np.testing.assert_allclose(unit, [[0.6, 0.8], [1, 0]], rtol=1e-6)
    np.testing.assert_array_equal(unit_rows(unit, "x", EncoderError), unit)
    for bad in (0.0, np.nan, np.inf, -np.inf):
        with pytest.raises(EncoderError, match="zero or not finite"):
            unit_rows([[1.0, 0.0], [bad, 0.0]], "x", EncoderError)
