"""`Tower`: the frozen image tower, for one picture at a time, and the store of its features."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.near_duplicates import Looks, thumbnail
from tools.mini_training.captions import VARIANTS
from tools.mini_training.learning import Pictures
from tools.mini_training.pictures import KINDS, Drawing
from tools.mini_training.views import SIDE, Pixels, views
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder


class _Pooled(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.network(pixels).pooler_output
        return pooled


class Tower:
    """Features of 224-pixel squares, compiled once; batches of one stay in a processor's cache.

    Args:
        encoder: The start model.
    """

    def __init__(self, encoder: SentenceTransformerEncoder) -> None:
        self.network = encoder.model[0].sub_modules["image"][0].model.eval()
        plain = _without_gates(copy.deepcopy(self.network))
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's advice
            example = torch.zeros(1, 3, SIDE, SIDE)
            traced = torch.jit.trace(_Pooled(plain).eval(), example, strict=False)
            self._run = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

    def __call__(self, pixels: Pixels) -> np.ndarray:
        """``(224, 224, 3)`` bytes to ``(1280,)`` float32."""
        scaled = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            feature: np.ndarray = self._run((scaled - 127) / 128)[0].numpy()
        return feature


def _without_gates(module: nn.Module) -> nn.Module:
    """The network without its squeeze-excitation gates, which are always one."""
    for name, child in module.named_children():
        if name == "squeeze_excite":
            setattr(module, name, nn.Identity())
        else:
            _without_gates(child)
    return module


def extract(
    tower: Tower, encoder: SentenceTransformerEncoder, drawings: Iterable[Drawing], store: Path
) -> tuple[Pictures, Looks]:
    """Features of all views and vectors of all texts; read from ``store`` if it is there.

    Random views depend on the drawing alone, not on its neighbours.
    """
    if not store.exists():
        looks, texts, groups, kinds = [], [], [], []
        digests, thumbnails = [], []
        numbers: dict[str, int] = {}
        for count, drawing in enumerate(drawings):
            seed = hashlib.sha256(drawing.group.encode() + drawing.image.tobytes()).digest()
            found = views(drawing, np.random.default_rng([*seed]))
            seen = {id(view): tower(view) for view in found}
            looks.append([seen[id(view)] for view in found])
            texts.append(drawing.texts)
            groups.append(numbers.setdefault(drawing.group, len(numbers)))
            kinds.append(KINDS.index(drawing.kind))
            digests.append(drawing.digest)
            thumbnails.append(thumbnail(drawing.image))
            if count % 500 == 0:
                print(f"{count:,} pictures", flush=True)
        vectors = embed(encoder, [text for several in texts for text in several])
        store.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            store,
            features=np.asarray(looks, np.float16),
            texts=vectors.reshape(len(texts), VARIANTS, -1),
            groups=np.asarray(groups),
            kinds=np.asarray(kinds),
            digests=np.asarray(digests),
            thumbnails=np.asarray(thumbnails),
        )
    with np.load(store) as held:
        seen = Pictures(
            held["features"].astype(np.float32), held["texts"], held["groups"], held["kinds"]
        )
        return seen, Looks(held["digests"], held["thumbnails"])


def embed(encoder: SentenceTransformerEncoder, texts: list[str]) -> np.ndarray:
    """Vectors ``(n, 384)`` of texts, each distinct one embedded once."""
    distinct = sorted(set(texts))
    vectors = encoder.encode_texts(distinct, role="query")
    rows = {text: row for row, text in enumerate(distinct)}
    return np.asarray(vectors[[rows[text] for text in texts]], np.float32)
