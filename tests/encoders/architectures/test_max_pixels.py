"""A budget of pixels reaches the processor that a model's own class would overrule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import noise
from unisem import Encoder, load_encoder
from unisem.encoders.stated import stated_dimension
from unisem.errors import EncoderError
from unisem.models.local_model import LocalModel


def test_naflex_cuts_as_many_patches_as_asked_for(checkpoint: Callable[[str], Path]) -> None:
    import torch
    from transformers import Siglip2ImageProcessorPil, Siglip2Model

    directory = checkpoint("SigLIP 2 NaFlex")
    pictures = [noise(0), noise(1, (50, 20))]
    ours = load_encoder(str(directory), max_pixels=8 * 8 * 12).encode_images(pictures)
    network = Siglip2Model.from_pretrained(directory).eval()
    prepared = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=12)
    with torch.inference_mode():
        inputs = prepared(pictures, return_tensors="pt")
        theirs = network.get_image_features(**inputs).pooler_output
    theirs = torch.nn.functional.normalize(theirs, dim=-1).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_what_a_model_cannot_do_is_told_before_its_weights_are_loaded(
    name: str,
    checkpoint: Callable[[str], Path],
    loaded: Callable[[str], Encoder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory, whole = str(checkpoint(name)), loaded(name).dimension
    assert stated_dimension(checkpoint(name), "x") == whole
    monkeypatch.setattr(LocalModel, "model", property(lambda self: pytest.fail("it was loaded")))
    load_encoder(directory, dimension=whole)
    with pytest.raises(EncoderError, match=f"gives {whole} numbers, and dimension={whole + 1} "):
        load_encoder(directory, dimension=whole + 1)
    own = {"SigLIP 2 NaFlex": 24 * 64, "EmbeddingGemma 2": 70 * 144, "Qwen3-VL-Embedding": 48**2}
    if (pixels := own.get(name)) is None:
        with pytest.raises(EncoderError, match="of one fixed size; leave max_pixels out"):
            load_encoder(directory, max_pixels=4096)
        return
    load_encoder(directory, max_pixels=16 * pixels)
    with pytest.raises(EncoderError, match=f"pass max_pixels={16 * pixels} or fewer"):
        load_encoder(directory, max_pixels=16 * pixels + 1)
    with pytest.raises(EncoderError, match="pixels of a picture at least"):
        load_encoder(directory, max_pixels=1)


LSTM = '[{"type": "a.LSTM", "path": ""}]'


def test_what_files_leave_open_is_not_guessed(tmp_path: Path) -> None:
    def stated(**files: str) -> int | None:
        for file, text in files.items():
            (tmp_path / f"{file}.json").write_text(text)
        return stated_dimension(tmp_path, "x")

    bert = '{"model_type": "bert", "hidden_size": 32}'
    assert stated(config=bert) == 32
    outside = '[{"type": "a.Dense", "path": ".."}]'
    (tmp_path.parent / "config.json").write_text('{"out_features": 5}')
    for modules in (outside, "[5]", "{}", LSTM, '[{"type": "Router"}]'):
        assert stated(modules=modules) is None
    two = '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true, '
    two += '"word_embedding_dimension": 32}'
    one = '[{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": ""}]'
    assert stated(modules=one, config=two) == 64
    assert stated(config=two.replace("true", "false", 1)) == 32
    for modes, whole in (
        ('"cls"', 32),
        ('["cls"]', 32),
        ('["cls", "mean"]', 64),
        ("null", None),
        ("5", None),
        ("[]", None),
    ):
        pooled = f'{{"pooling_mode": {modes}, "embedding_dimension": 32}}'
        assert stated(config=pooled) == whole


def test_files_of_strangers_are_refused_by_loading_alone(tmp_path: Path) -> None:
    router = '[{"type": "a.Router", "path": ""}]'
    (tmp_path / "modules.json").write_text(router)
    for routes in (
        '{"structure": {"a": [""], "b": [""]}, "types": {"": "a.Router"}}',  # itself, twice
        '{"structure": {"text": 5}, "types": {}}',
        '{"structure": {"text": [["a"]]}, "types": {}}',
    ):
        (tmp_path / "router_config.json").write_text(routes)
        assert stated_dimension(tmp_path, "x") is None
    (tmp_path / "modules.json").write_text(router.replace('"path": ""', '"path": "a\\u0000b"'))
    assert stated_dimension(tmp_path, "x") is None
