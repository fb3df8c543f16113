"""Adapters: small, equal to what was trained, and nothing that a stranger's could misuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.support import assert_same_weights, changed
from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import EncoderError, TrainingError
from unisem.pairs import PairDataset
from unisem.training import Recipe, merge_adapter, train_encoder
from unisem.training.model.adapter import save_adapter

pytestmark = pytest.mark.usefixtures("one_thread")


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def adapter(tiny: Path, pairs: PairDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of LoRA and heads, half way back, beside ``whole``, the same run saved whole."""
    folder = tmp_path_factory.mktemp("adapters")
    recipe = Recipe(
        epochs=1, batch_size=9, freeze=(), lora=1, learning_rate=1e-2, interpolation=0.5
    )
    train_encoder(str(tiny), pairs, folder / "whole", recipe=recipe)
    report = train_encoder(str(tiny), pairs, folder / "small", recipe=recipe, save="adapter")
    assert report.size == size(folder / "small")
    return folder / "small"


def test_merged_it_is_the_run_saved_whole(adapter: Path, tiny: Path, tmp_path: Path) -> None:
    merged = merge_adapter(adapter, tmp_path / "merged", base=str(tiny))
    assert_same_weights(merged, adapter.with_name("whole"), 1e-5)
    assert any("attention" in name for name in changed(tiny, merged))
    load_encoder(str(merged)).encode_texts(["a red tiger"])
    factors = load_file(adapter / "adapter.safetensors")
    assert size(adapter) < size(adapter.with_name("whole")) / 2
    assert {name.rpartition(".")[2] for name in factors} >= {"lora_A", "lora_B", "weight"}


def test_a_base_in_a_directory_is_read_if_it_is_named_and_the_same(
    adapter: Path, tiny: Path, tmp_path: Path
) -> None:
    described = json.loads((adapter / "unisem_adapter.json").read_text())
    assert described["base"] == tiny.name  # not where it lies
    with pytest.raises(EncoderError, match="name that directory as base"):
        merge_adapter(adapter, tmp_path / "out")
    with pytest.raises(EncoderError, match="name the model that it was trained from"):
        merge_adapter(adapter, tmp_path / "out", base=str(adapter.with_name("whole")))
    copied = tmp_path / "copied"
    shutil.copytree(adapter, copied)
    described["base"] = str(tiny)  # a path that somebody wrote into the file
    (copied / "unisem_adapter.json").write_text(json.dumps(described))
    with pytest.raises(EncoderError, match="name that directory as base"):
        merge_adapter(copied, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(EncoderError, match=r"is an adapter.*unisem merge-adapter"):
        load_encoder(str(adapter))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("0.nowhere.weight", torch.ones(2, 2), "its base has no 0.nowhere.weight"),
        ("HEAD", torch.ones(3, 3), "its base has no"),
        ("HEAD", torch.full((24, 32), float("nan")), "numbers that are none"),
        ("HEAD.lora_A", torch.ones(2, 32), "do not fit each other"),
    ],
)
def test_what_does_not_fit_is_one_error(
    name: str, value: torch.Tensor, says: str, adapter: Path, tiny: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(adapter, copied)
    tensors = load_file(adapter / "adapter.safetensors")
    head = next(key for key, tensor in tensors.items() if tensor.shape == (24, 32))
    tensors[name.replace("HEAD", head)] = value
    save_file(tensors, copied / "adapter.safetensors")
    with pytest.raises(EncoderError, match=says):
        merge_adapter(copied, tmp_path / "out", base=str(tiny))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', "[" * 100_000, " " * 200_000])
def test_a_description_that_is_none_is_one_error(text: str, adapter: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(adapter, copied)
    (copied / "unisem_adapter.json").write_text(text)
    with pytest.raises(EncoderError, match="is no adapter of an encoder"):
        merge_adapter(copied, tmp_path / "out")


def test_what_mini_has_learned_takes_little_room(pairs: PairDataset, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=9)
    train_encoder("mini", pairs, tmp_path / "small", recipe=recipe, save="adapter")
    assert size(tmp_path / "small") < 15_000_000
    merge_adapter(tmp_path / "small", tmp_path / "merged")  # it is known where mini is
    assert size(tmp_path / "merged") > 2 * size(tmp_path / "small")
    assert load_encoder(str(tmp_path / "merged")).fingerprint != load_encoder("mini").fingerprint


def test_factors_of_a_huge_product_are_not_multiplied(
    adapter: Path, tiny: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(adapter, copied)
    tensors = load_file(adapter / "adapter.safetensors")
    head = next(key for key, tensor in tensors.items() if tensor.shape == (24, 32))
    factors = {f"{head}.lora_A": torch.ones(1, 10**6), f"{head}.lora_B": torch.ones(10**6, 1)}
    save_file(tensors | factors, copied / "adapter.safetensors")
    with pytest.raises(EncoderError, match=r"of the shape \[1000000, 1000000\]"):
        merge_adapter(copied, tmp_path / "out", base=str(tiny))


def opened(tiny: Path, **options: str) -> SentenceTransformerEncoder:
    found = load_encoder(str(tiny), device="cpu", **options)  # type: ignore[arg-type]
    assert isinstance(found, SentenceTransformerEncoder)
    return found


def test_what_was_trained_with_options_is_merged_with_them(tiny: Path, tmp_path: Path) -> None:
    trained = opened(tiny, query_instruction="find: ")
    with torch.no_grad():
        next(trained.model.parameters()).add_(1)
    save_adapter(trained, tmp_path / "small", Recipe(), {})
    bases: list[str | SentenceTransformerEncoder] = [str(tiny), opened(tiny), trained]
    for number, base in enumerate(bases):
        merged = merge_adapter(tmp_path / "small", tmp_path / f"merged{number}", base=base)
        found = load_encoder(str(merged), device="cpu").encode_texts(["a red tiger"], "query")
        assert found == pytest.approx(trained.encode_texts(["a red tiger"], "query"), abs=1e-5)
    path = tmp_path / "small" / "unisem_adapter.json"
    path.write_text(path.read_text("utf-8").replace("query_instruction", "strange"), "utf-8")
    with pytest.raises(EncoderError, match="no option 'strange'"):
        merge_adapter(tmp_path / "small", tmp_path / "out", base=str(tiny))


def test_tied_layers_are_saved(tiny: Path, tmp_path: Path) -> None:
    trained = opened(tiny)
    norms = [it for it in trained.model.modules() if isinstance(it, torch.nn.LayerNorm)]
    one, two = [it for it in norms if it.weight.shape == norms[0].weight.shape][:2]
    two.weight = one.weight
    with torch.no_grad():
        one.weight.add_(1)
    save_adapter(trained, tmp_path / "small", Recipe(), {})
    merged = merge_adapter(tmp_path / "small", tmp_path / "merged", base=str(tiny))
    found = load_encoder(str(merged), device="cpu").encode_texts(["a red tiger"])
    assert found == pytest.approx(trained.encode_texts(["a red tiger"]), abs=1e-5)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        save_adapter(trained, tmp_path / "file" / "small", Recipe(), {})


def test_an_adapter_of_before_inputs_were_prepared_otherwise_says_so(
    adapter: Path, tiny: Path, tmp_path: Path
) -> None:
    base, copied = tmp_path / "base", tmp_path / "copied"
    shutil.copytree(tiny, base)
    shutil.copytree(adapter, copied)
    file = base / "config_sentence_transformers.json"
    known = json.loads(file.read_text())
    file.write_text(json.dumps(known | {"prompts": {"any": "x"}, "default_prompt_name": "any"}))
    described = json.loads((copied / "unisem_adapter.json").read_text())
    described["fingerprint"] = opened(base).former_fingerprint
    (copied / "unisem_adapter.json").write_text(json.dumps(described))
    with pytest.raises(EncoderError, match="not prepared as they are now; train it anew"):
        merge_adapter(copied, tmp_path / "out", base=str(base))
