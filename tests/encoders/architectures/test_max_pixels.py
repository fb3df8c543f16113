"""A budget of pixels reaches the processor that a model's own class would overrule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support.pictures import noise
from unisem import load_encoder


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
