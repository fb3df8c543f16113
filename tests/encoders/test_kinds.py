"""Models that are no encoders, or encode one modality, are called what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.checkpoints import save_chat_cross_encoder
from tests.support.networks import save_bert, save_cross_encoder, save_network, save_vision
from tests.support.pictures import noise
from unisem import Record, SemanticSpace, load_encoder, load_reranker
from unisem.errors import EncoderError, RerankerError


def test_a_cross_encoder_is_no_encoder(tmp_path: Path) -> None:
    for directory in (
        save_cross_encoder(tmp_path / "bare"),
        save_chat_cross_encoder(tmp_path / "saved"),
    ):
        with pytest.raises(EncoderError, match=r"is a cross encoder.*load_reranker"):
            load_encoder(str(directory))
    with pytest.raises(EncoderError, match="is a cross encoder"):
        SemanticSpace.open(tmp_path / "s.unisem", encoder=str(tmp_path / "bare"))


def test_a_model_of_many_vectors_is_no_encoder(tmp_path: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(save_bert(tmp_path / "bert")))
    model.save_pretrained(str(tmp_path / "many"))
    with pytest.raises(EncoderError, match=r"late-interaction.*load_reranker"):
        load_encoder(str(tmp_path / "many"))


def test_a_sparse_model_is_neither_encoder_nor_reranker(tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling
    from transformers import BertConfig, BertForMaskedLM

    from tests.support.networks import SMALL, word_tokenizer

    config = BertConfig(**SMALL, vocab_size=20, max_position_embeddings=64)
    for part in (BertForMaskedLM(config), word_tokenizer()):
        part.save_pretrained(tmp_path / "mlm")
    network = MLMTransformer(str(tmp_path / "mlm"))
    model = SparseEncoder(modules=[network, SpladePooling("max")])
    model.save_pretrained(str(tmp_path / "sparse"))
    with pytest.raises(EncoderError, match="sparse"):
        load_encoder(str(tmp_path / "sparse"))
    with pytest.raises(RerankerError, match="is a SparseEncoder"):
        load_reranker(str(tmp_path / "sparse"))
    described = tmp_path / "sparse" / "config_sentence_transformers.json"
    older = json.loads(described.read_text())
    del older["model_type"]
    described.write_text(json.dumps(older))
    with pytest.raises(EncoderError, match="sparse"):
        load_encoder(str(tmp_path / "sparse"))


@pytest.mark.parametrize("architecture", ["HF_ColBERT", "ColPaliForRetrieval"])
def test_late_interaction_models_of_other_libraries(tmp_path: Path, architecture: str) -> None:
    model = save_bert(tmp_path)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}))
    with pytest.raises(EncoderError, match="late-interaction"):
        load_encoder(str(model))


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    model = save_bert(tmp_path)
    (model / "config.json").write_text("{")
    with pytest.raises(EncoderError, match=r"damaged config\.json"):
        load_encoder(str(model))


@pytest.mark.parametrize("colour", ["white", [255], [255, 0, 256], {"0": 255}])
def test_a_damaged_colour_to_pad_with_is_named(tmp_path: Path, colour: object) -> None:
    model = save_vision(tmp_path / "vit", "ViT")
    (model / "unisem_config.json").write_text(json.dumps({"pad_to_square": colour}))
    with pytest.raises(EncoderError, match=r"damaged unisem_config\.json: pad_to_square must be"):
        load_encoder(str(model)).encode_images([noise(0)])


def test_a_model_of_pictures_only(tmp_path: Path) -> None:
    model = save_vision(tmp_path / "vit", "ViT")
    encoder = load_encoder(str(model))
    assert encoder.encode_images([noise(0)]).shape == (1, encoder.dimension)
    for role in ("query", "document"):
        with pytest.raises(EncoderError, match="no text side: it embeds pictures only"):
            encoder.encode_texts(["a cat"], role=role)  # type: ignore[arg-type]
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=str(model)) as space:
        with pytest.raises(EncoderError, match="no text side"):
            space.add([Record(id="1", text="a cat")])
        with pytest.raises(EncoderError, match="no text side"):
            space.search("a cat")
        assert len(space) == 0


def test_a_model_of_texts_only(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_network(tmp_path, "Bert", max_position_embeddings=64)))
    with pytest.raises(EncoderError, match="no image side: it embeds texts only"):
        encoder.encode_images([noise(0)])
