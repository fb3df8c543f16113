"""Weights that files lack: transformers puts random numbers there, other ones at every load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tests.support.checkpoints import save_siglip, save_text_cross_encoder, save_two_towers
from tests.support.networks import save_bert, save_joint, save_vision, without_weights
from tests.support.pictures import noise
from unisem import Record, SemanticSpace, load_encoder, load_reranker
from unisem.errors import EncoderError, RerankerError, TrainingError, UniSemError
from unisem.training import two_towers


@pytest.mark.parametrize(
    ("save", "start"),
    [
        (save_joint, "visual_projection"),
        (save_joint, "text_projection"),
        (save_joint, "text_model.encoder.layers.1.mlp"),
        (save_siglip, "vision_model.head.probe"),
        (save_bert, "encoder.layer.1.attention"),
    ],
)
def test_an_encoder_that_is_not_whole_is_refused(
    tmp_path: Path, save: Callable[[Path], Path], start: str
) -> None:
    (tmp_path / "model").mkdir()
    broken = without_weights(save(tmp_path / "model"), start)
    with pytest.raises(EncoderError, match=f"not whole: its files lack {start}"):
        load_encoder(str(broken)).encode_texts(["a cat"])
    with (
        SemanticSpace.open(tmp_path / "s.unisem", encoder=str(broken)) as space,
        pytest.raises(EncoderError, match="not whole"),
    ):
        space.search("a cat")


def test_what_no_vector_depends_on_may_be_absent(tmp_path: Path) -> None:
    whole = load_encoder(str(save_bert(tmp_path / "whole"))).encode_texts(["a cat"])
    without_pooler = without_weights(save_bert(tmp_path / "bert"), "pooler")
    np.testing.assert_array_equal(load_encoder(str(without_pooler)).encode_texts(["a cat"]), whole)
    scale = without_weights(save_joint(tmp_path / "clip"), "logit_scale")
    assert load_encoder(str(scale)).encode_images([noise(0)]).shape == (1, 24)


@pytest.mark.parametrize("used", [True, False])
def test_weights_of_another_shape_are_missing(tmp_path: Path, used: bool) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    model = save_bert(tmp_path)
    name = "encoder.layer.0.output.dense.bias" if used else "pooler.dense.bias"
    weights = load_file(model / "model.safetensors") | {name: torch.zeros(7)}
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    encoder = load_encoder(str(model))
    if not used:
        assert encoder.encode_texts(["a cat"]).shape == (1, 32)
        return
    with pytest.raises(EncoderError, match=f"lack {name}, or have it in another shape"):
        encoder.encode_texts(["a cat"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_changes_nothing_about_it(tmp_path: Path, dtype: str) -> None:
    broken = without_weights(save_joint(tmp_path), "visual_projection")
    with pytest.raises(EncoderError, match="lack visual_projection"):
        load_encoder(str(broken), dtype=dtype).encode_texts(["a cat"])


@pytest.mark.parametrize(
    ("part", "start"),
    [
        ("text_0_Transformer", "encoder.layer.0"),
        ("image_0_Transformer", "pooler"),
        ("text_2_Dense", "linear.bias"),
        ("image_1_Dense", "linear.weight"),
    ],
)
def test_a_part_of_a_router_that_is_not_whole(tmp_path: Path, part: str, start: str) -> None:
    model = save_two_towers(tmp_path)
    without_weights(model, start, f"{part}/model.safetensors")
    with pytest.raises(EncoderError, match=start):
        load_encoder(str(model)).encode_texts(["a cat"])


def test_a_checkpoint_in_parts_of_which_one_is_gone_or_not_listed(tmp_path: Path) -> None:
    from transformers import AutoModel

    whole = save_bert(tmp_path / "whole")
    parts = Path(shutil.copytree(whole, tmp_path / "parts"))
    (parts / "model.safetensors").unlink()
    AutoModel.from_pretrained(whole).save_pretrained(parts, max_shard_size="20KB")
    assert load_encoder(str(parts)).encode_texts(["a cat"]).shape == (1, 32)

    gone = Path(shutil.copytree(parts, tmp_path / "gone"))
    sorted(gone.glob("model-*.safetensors"))[1].unlink()
    with pytest.raises(EncoderError, match="does not load"):
        load_encoder(str(gone)).encode_texts(["a cat"])

    listed = parts / "model.safetensors.index.json"
    index = json.loads(listed.read_text())
    lost = index["weight_map"].pop("encoder.layer.1.output.dense.weight")
    index["weight_map"] = {n: file for n, file in index["weight_map"].items() if file != lost}
    listed.write_text(json.dumps(index))
    with pytest.raises(EncoderError, match="not whole"):
        load_encoder(str(parts)).encode_texts(["a cat"])


def save_adapter(base: Path, place: Path) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    adapted = get_peft_model(
        AutoModel.from_pretrained(base), LoraConfig(r=2, target_modules=["query", "value"])
    )
    adapted.save_pretrained(place)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, place)
    return place


@pytest.mark.parametrize("lost", ["adapter", "network", None])
def test_an_adapter_and_the_network_below_it(tmp_path: Path, lost: str | None) -> None:
    base = save_bert(tmp_path / "base")
    encoder = load_encoder(str(save_adapter(base, tmp_path / "adapter")))
    if lost == "adapter":
        start = "base_model.model.encoder.layer.0.attention.self.value.lora_B"
        without_weights(tmp_path / "adapter", start, "adapter_model.safetensors")
    elif lost == "network":
        without_weights(base, "encoder.layer.0.attention.self.key.weight")
    if lost is None:
        assert encoder.encode_texts(["a cat"]).shape == (1, 32)
        return
    with pytest.raises(EncoderError, match="not whole"):
        encoder.encode_texts(["a cat"])


def test_the_fingerprint_of_an_adapter_covers_the_network_below_it(tmp_path: Path) -> None:
    base = save_bert(tmp_path / "base")
    adapter = save_adapter(base, tmp_path / "adapter")
    moved = Path(shutil.copytree(base, tmp_path / "moved"))
    again = Path(shutil.copytree(adapter, tmp_path / "again"))

    def fingerprint(directory: Path) -> str:
        return load_encoder(str(directory)).fingerprint

    before = fingerprint(adapter)
    assert fingerprint(again) == before
    weights = load_file(base / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][0, 0] += 1
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    assert fingerprint(adapter) != before
    shutil.rmtree(base)
    with pytest.raises(EncoderError, match="adapts a model that is not here"):
        fingerprint(adapter)
    shutil.move(moved, base)
    assert fingerprint(adapter) == before


def test_an_adapter_in_the_folder_of_its_network_is_refused(tmp_path: Path) -> None:
    model = save_bert(tmp_path)
    (model / "adapter_config.json").write_text("{}")
    with pytest.raises(EncoderError, match="merge"):
        load_encoder(str(model)).encode_texts(["a cat"])


@pytest.mark.parametrize("side", ["text", "image"])
def test_a_tower_that_is_not_whole(tmp_path: Path, side: str) -> None:
    bert, vit = save_bert(tmp_path / "bert"), save_vision(tmp_path / "vit", "ViT")
    for network in (bert, vit):
        without_weights(network, "pooler")
    two_towers(bert, vit, dimension=8)  # neither pooler is used
    without_weights(bert if side == "text" else vit, "encoder.layer.1" if side == "text" else "lay")
    with pytest.raises((EncoderError, TrainingError), match=f"the {side} tower .* not whole"):
        two_towers(bert, vit, dimension=8)


def test_threads_may_load_models_side_by_side(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from transformers import AutoModel

    whole = save_bert(tmp_path / "whole")
    broken = without_weights(save_joint(tmp_path / "broken"), "text_projection")

    def attempt(directory: Path) -> bool:
        try:
            load_encoder(str(directory)).encode_texts(["a cat"])
        except UniSemError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(attempt, [whole, broken] * 4)) == [True, False] * 4
    assert not isinstance(AutoModel.from_pretrained(whole), tuple)


def without_words(directory: Path) -> Path:
    for file in directory.iterdir():
        if file.name.startswith(("tokenizer", "vocab", "merges", "special_tokens")):
            file.unlink()
    return directory


def test_a_model_without_its_tokenizers_files_is_refused(tmp_path: Path) -> None:
    bert = without_words(save_bert(tmp_path / "bert"))
    with pytest.raises(EncoderError, match="lacks its tokenizer's words"):
        load_encoder(str(bert)).encode_texts(["a cat"])
    with pytest.raises(EncoderError, match="lacks its tokenizer's words"):
        two_towers(str(bert), str(save_vision(tmp_path / "vision", "ViT")), dimension=16)
    reranker = without_words(save_text_cross_encoder(tmp_path / "reranker"))
    with pytest.raises(RerankerError, match="lacks its tokenizer's words"):
        load_reranker(reranker).score("a", None, [Record(text="red")])


@pytest.mark.parametrize("broken", [{"hidden_size": "x"}, {"num_attention_heads": 0}])
def test_a_configuration_that_means_nothing_is_one_error(
    tmp_path: Path, broken: dict[str, object]
) -> None:
    bert = save_bert(tmp_path / "bert")
    config = bert / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | broken))
    with pytest.raises(EncoderError, match="does not load"):
        load_encoder(str(bert)).encode_texts(["a cat"])
    with pytest.raises(EncoderError, match="does not load"):
        two_towers(str(bert), str(save_vision(tmp_path / "vision", "ViT")), dimension=16)


def test_a_device_that_torch_cannot_use_is_one_error(tmp_path: Path) -> None:
    import torch

    if torch.backends.cuda.is_built():
        pytest.skip("this torch can use it")
    with pytest.raises(EncoderError, match=r"does not load.*CUDA"):
        load_encoder(str(save_bert(tmp_path)), device="cuda").encode_texts(["a cat"])
