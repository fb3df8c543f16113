"""`refuse_impossible`: options that a model cannot follow, by its files, before it is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from unisem.encoders.options import EncoderOptions
from unisem.encoders.picture_sizes import fixed_size, limit_pixels
from unisem.errors import EncoderError
from unisem.models.model_kind import read_config

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_FLEXIBLE = ("max_num_patches", "max_soft_tokens", "merge_size")
_FIXED = ("CLIP", "ChineseCLIP", "Siglip", "ViT", "DeiT", "Bit", "EfficientNet", "ConvNext", "Blip")
_KEPT = ("Normalize", "Dropout", "LayerNorm")  # modules that leave the dimension as it is


def refuse_impossible(directory: Path, options: EncoderOptions, what: str) -> None:
    """Refuse more numbers than a model has, and pixels that it cannot look at.

    Its configurations are read, not its weights; what they leave open is found at the first use.

    Args:
        directory: The model's files.
        options: How it is to embed.
        what: What to call it in an error, for example ``the encoder 'mini'``.

    Raises:
        EncoderError: It cannot; or a configuration is damaged.
    """
    if any(directory.rglob("adapter_config.json")):
        return  # what it adapts lies elsewhere
    if (cut := options.dimension) is not None:
        whole = stated_dimension(directory, what)
        if whole is not None and cut > whole:
            raise too_long(cut, whole, what)
    if (most := options.max_pixels) is not None:
        for processor in _image_processors(directory, what):
            if any(name in processor for name in _FLEXIBLE):
                try:
                    limit_pixels([SimpleNamespace(**processor)], most, what)
                except (AttributeError, ArithmeticError, KeyError, TypeError, ValueError):
                    continue  # its class says what it does not, or it is damaged
            elif processor.get("image_processor_type") in {
                f"{kind}ImageProcessor{ending}" for kind in _FIXED for ending in ("", "Fast", "Pil")
            }:
                raise fixed_size(what)


def too_long(cut: int, whole: int, what: str) -> EncoderError:
    """What is said where more numbers are asked for than a model gives."""
    return EncoderError(
        f"{what} gives {whole} numbers, and dimension={cut} asks for more; pass at most {whole}"
    )


def stated_dimension(directory: Path, what: str) -> int | None:
    """How many numbers a model gives, where its configurations say so."""
    try:
        return _stated(directory, what)
    except (AttributeError, OSError, TypeError, ValueError):
        return None  # the files are not what they should be: loading says what is wrong


def _stated(directory: Path, what: str) -> int | None:
    modules = directory / "modules.json"
    if not modules.is_file():
        return _of_network(_config(directory / "config.json", what))
    try:
        listed = json.loads(modules.read_text(encoding="utf-8"))
        named = [(str(one["type"]), str(one.get("path", ""))) for one in listed]
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError):
        return None  # loading says what is wrong
    return _last_of(directory, named, what)


def _last_of(
    directory: Path, modules: Iterable[tuple[str, str]], what: str, *, is_routed: bool = False
) -> int | None:
    """What the last of some modules gives that changes the dimension.

    A router in a router's route says nothing here: it may be the same one.
    """
    changing = [it for it in modules if not it[0].endswith(_KEPT)]
    if not changing:
        return None
    kind, path = changing[-1]
    folder = directory / path
    if not folder.resolve().is_relative_to(directory.resolve()):
        return None
    known = _config(folder / "config.json", what)
    match kind.rpartition(".")[2]:
        case "Dense":
            return _number(known.get("out_features"))
        case "Pooling":
            return _pooled(known)
        case "Transformer":
            return _of_network(known)
        case "Router" if not is_routed:
            routes = _config(folder / "router_config.json", what)
            structure, types = routes.get("structure"), routes.get("types")
            if not isinstance(structure, dict) or not isinstance(types, dict):
                return None
            ways = [[(str(types.get(one)), str(one)) for one in way] for way in structure.values()]
            found = {_last_of(folder, way, what, is_routed=True) for way in ways}
            return found.pop() if len(found) == 1 else None
    return None


def _pooled(known: Mapping[str, Any]) -> int | None:
    """Of a pooling, whose several modes give a vector each, one behind the other."""
    width = _number(known.get("embedding_dimension", known.get("word_embedding_dimension")))
    flags = [it for it, is_set in known.items() if it.startswith("pooling_mode_") and is_set]
    modes = known.get("pooling_mode", flags or "mean")  # as the library says where none is set
    modes = [modes] if isinstance(modes, str) else modes
    if width is None or not isinstance(modes, list) or not modes:
        return None
    return width * len(modes)


def _of_network(config: Mapping[str, Any]) -> int | None:
    """Of a network that is not followed by anything: joint ones project, others are pooled."""
    text = config.get("text_config")
    of_text = text if isinstance(text, dict) else {}
    if "vision_config" in config:
        return _number(config.get("projection_dim", of_text.get("projection_size")))
    return _number(config.get("hidden_size"))


def _image_processors(directory: Path, what: str) -> Iterator[dict[str, Any]]:
    for name in _PROCESSORS:
        for path in sorted(directory.rglob(name)):
            known = _config(path, what)
            within = known.get("image_processor", known)
            if isinstance(within, dict):
                yield within


def _config(path: Path, what: str) -> dict[str, Any]:
    return read_config(path, what, EncoderError)


def _number(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None
