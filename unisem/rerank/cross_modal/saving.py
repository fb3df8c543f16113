"""A cross-modal Transformer as a directory: written whole, read with every size checked.

- ``config.json``: what it is, its settings, and the towers that it stands on.
- ``model.safetensors``: its weights in float32; the towers are the encoder's and not in it.
- ``tokenizer.json``: its words.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from unisem.errors import RerankerError
from unisem.rerank.cross_modal.model import CrossModalSettings, CrossModalTransformer
from unisem.rerank.cross_modal.tokenizer import CaptionTokenizer

KIND = "unisem-cross-modal"
"""What ``config.json`` says under ``kind``."""

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
_FORMAT = 1
_LARGEST = 50_000_000  # bytes of a JSON file


@dataclass(frozen=True, slots=True, eq=False)
class CrossModalFiles:
    """What is in a cross-modal Transformer's directory.

    Attributes:
        network: The Transformer, in evaluation mode.
        tokenizer: Its words.
        encoder: What the encoder whose towers it stands on was called.
        image_tower: `PatchFeatures.fingerprint` of that encoder.
        text_tower: `WordVectors.fingerprint`; ``None`` where the network's word vectors are its
            own.
    """

    network: CrossModalTransformer
    tokenizer: CaptionTokenizer
    encoder: str
    image_tower: str
    text_tower: str | None

    def write(self, directory: Path) -> None:
        """Write beside the place, then move there; an earlier directory is replaced.

        Raises:
            RerankerError: The disk refused; what was there is intact.
        """
        partial = directory.with_name(f".{directory.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        described = {
            "kind": KIND,
            "format": _FORMAT,
            "encoder": self.encoder,
            "image_tower": self.image_tower,
            "text_tower": self.text_tower,
            "settings": asdict(self.network.settings),
        }
        try:
            partial.mkdir(parents=True)
            config = partial / CONFIG
            config.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
            (partial / TOKENIZER).write_text(self.tokenizer.text, encoding="utf-8")
            weights = {
                name: weight.detach().float().cpu().contiguous()
                for name, weight in self.network.state_dict().items()
            }
            save_file(weights, partial / WEIGHTS)
            (partial / WEIGHTS).chmod(config.stat().st_mode)  # else for its owner's eyes only
            for path in partial.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            shutil.rmtree(directory, ignore_errors=True)
            os.replace(partial, directory)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise RerankerError(f"the model cannot be written to {directory}: {error}") from error

    @classmethod
    def read(cls, directory: Path, name: str) -> CrossModalFiles:
        """Read a directory that may be a stranger's.

        No more memory is taken than the file of weights is large: names and shapes are compared
        before.

        Args:
            directory: The files.
            name: What to call the model in an error.

        Raises:
            RerankerError: It is none, of a newer format, damaged, or not whole.
        """
        what = f"the reranker {name!r}"
        config = _read_json(directory / CONFIG, what)
        if config.get("kind") != KIND:
            raise RerankerError(f"{what} is no cross-modal Transformer of UniSem")
        if config.get("format") != _FORMAT:
            raise RerankerError(
                f"{what} has format {config.get('format')!r}; this version reads {_FORMAT}. "
                "Install a newer UniSem, or train it again"
            )
        try:
            known = {field.name for field in fields(CrossModalSettings)}
            if config["settings"].keys() != known:
                raise ValueError(f"its settings must be {', '.join(sorted(known))}")
            settings = CrossModalSettings(**config["settings"])
            encoder, image_tower = config["encoder"], config["image_tower"]
            text_tower = config["text_tower"]
            if not isinstance(encoder, str) or not isinstance(image_tower, str):
                raise TypeError("encoder and image_tower must be strings")
            if not isinstance(text_tower, str | None):
                raise TypeError("text_tower must be a string or null")
            if (text_tower is None) != (settings.text_width is None):
                raise ValueError("text_tower and text_width do not go together")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RerankerError(f"{what} has a damaged {CONFIG}: {error}") from error
        tokenizer = CaptionTokenizer.read(_read_text(directory / TOKENIZER, what), what)
        if len(tokenizer) != settings.words:
            raise RerankerError(
                f"{what} is not whole: its tokenizer has {len(tokenizer)} words and its settings "
                f"say {settings.words}"
            )
        network = _network(settings, directory / WEIGHTS, what)
        return cls(network.eval(), tokenizer, encoder, image_tower, text_tower)


def _network(settings: CrossModalSettings, path: Path, what: str) -> CrossModalTransformer:
    try:
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            stored = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            with torch.device("meta"):  # shapes without memory
                layers = settings.layers + settings.caption_layers
                if layers > len(names):
                    raise ValueError(f"{layers} layers, and {len(names)} tensors")
                network = CrossModalTransformer(settings)
            wanted = {name: tuple(w.shape) for name, w in network.state_dict().items()}
            if other := sorted({n for n, _ in stored.items() ^ wanted.items()}):
                raise ValueError(f"{', '.join(other[:3])} missing, not known or misshapen")
            weights = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, ValueError) as error:
        raise RerankerError(f"{what} is not whole: {path.name}: {error}") from error
    if any(not weight.isfinite().all() for weight in weights.values()):
        raise RerankerError(f"{what} has weights that are not finite; train it again")
    network.load_state_dict({n: w.float() for n, w in weights.items()}, assign=True)
    return network.requires_grad_(False)


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(_read_text(path, what))
    except (RecursionError, ValueError) as error:
        raise RerankerError(f"{what} has a damaged {path.name}: {error}") from error
    if not isinstance(found, dict):
        raise RerankerError(f"{what} has a damaged {path.name}: it is no object")
    return found


def _read_text(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise RerankerError(f"{what} has a {path.name} of more than {_LARGEST:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RerankerError(f"{what} has no readable {path.name}: {error}") from error
