"""Feature maps and token vectors are those that the towers have inside."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.rerank.cross_modal.support import picture
from tests.support.checkpoints import save_clip, save_siglip, save_two_towers
from tests.support.toy import ToyEncoder
from unisem.encoders import Encoder, load_encoder
from unisem.encoders.sides import side_modules
from unisem.errors import EncoderError
from unisem.rerank.cross_modal import PatchFeatures, WordVectors


def test_the_maps_of_mini_are_its_last_two_sizes() -> None:
    encoder = load_encoder("mini", runtime="torch")
    prepared = [encoder.prepare_image(picture("red")), encoder.prepare_image(picture("blue"))]
    tower = side_modules(encoder.model, "image")[0].auto_model  # type: ignore[attr-defined]
    seen: dict[int, torch.Tensor] = {}
    hooks = [
        block.register_forward_hook(
            lambda module, given, out: seen.__setitem__(out.shape[-1], out.detach().clone())
        )
        for block in tower.encoder.blocks
    ]
    maps = PatchFeatures(encoder).of(prepared)
    for hook in hooks:
        hook.remove()
    pooled = functional.avg_pool2d(seen[14], 2)
    expected = torch.cat([pooled, seen[7]], 1)  # (2, 112 + 320, 7, 7)
    assert maps.shape == (2, 49, 432)
    torch.testing.assert_close(maps[:, 7 * 2 + 3], expected[:, :, 2, 3])
    larger = PatchFeatures(encoder, side=14).of(prepared)
    torch.testing.assert_close(larger[:, 14 * 4 + 6, :112], seen[14][:, :, 4, 6])
    torch.testing.assert_close(larger[:, 14 * 4 + 7, 112:], seen[7][:, :, 2, 3])


@pytest.mark.parametrize("save", [save_clip, save_siglip, save_two_towers])
def test_a_transformers_patches_are_its_last_layers_vectors(save: object, tmp_path: Path) -> None:
    directory = save(tmp_path / "model")  # type: ignore[operator]
    encoder = load_encoder(str(directory))
    prepared = encoder.prepare_image(picture("red"))
    maps = PatchFeatures(encoder, side=4).of([prepared])
    inner = side_modules(encoder.model, "image")[0].auto_model  # type: ignore[attr-defined]
    tower = getattr(inner, "vision_model", inner)
    pixels = encoder.preprocess_images([prepared])["pixel_values"]  # type: ignore[attr-defined]
    vectors = tower(pixels, output_hidden_states=True).hidden_states[-1]
    assert maps.shape == (1, 16, 32)  # 32 pixels in patches of 8
    torch.testing.assert_close(maps, vectors[:, -16:])
    halved = PatchFeatures(encoder, side=2).of([prepared])
    torch.testing.assert_close(halved[0, 3], maps[0, [10, 11, 14, 15]].mean(0))


@pytest.mark.parametrize("save", [save_clip, save_siglip, save_two_towers])
def test_word_vectors_do_not_depend_on_neighbours(save: object, tmp_path: Path) -> None:
    directory = save(tmp_path / "model")  # type: ignore[operator]
    words = WordVectors(load_encoder(str(directory)))
    together, present = words.of(["a red b", "a"], 64)
    alone, _ = words.of(["a"], 64)
    count = int(present[1].sum())
    torch.testing.assert_close(together[1, :count], alone[0, :count])
    cut, _ = words.of(["a red b"], 2)
    torch.testing.assert_close(cut[0], together[0, :2])
    assert words.width == 32


def test_an_encoder_without_towers_is_refused() -> None:
    toy: Encoder = ToyEncoder()
    for made in (PatchFeatures, WordVectors):
        with pytest.raises(EncoderError, match="tower to look into"):
            made(toy)
