"""`two_towers`: a joint encoder from a text model and a picture model that never met."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from unisem.errors import EncoderError, TrainingError
from unisem.models.finding import locate_model
from unisem.models.progress_bars import without_progress_bars

TextPooling = Literal["cls", "mean"]


def two_towers(
    text_tower: str | os.PathLike[str],
    image_tower: str | os.PathLike[str],
    *,
    dimension: int = 512,
    text_pooling: TextPooling = "mean",
    local_only: bool = False,
    seed: int = 0,
) -> Any:
    """Join a BERT and a ViT, a BERT and a ResNet … by projections into one space.

    Each side is its network, pooling, and a linear projection without bias (CLIP, section 2.3:
    linear is as good as a deeper head); then vectors are normalised. Projections begin random, so
    the result finds nothing before it is trained.

    A picture network with a class token gives that token, any other the mean over its positions.
    The article's ``CrossModalTransformer`` projects each tower's class token; that is
    ``text_pooling="cls"``. Mean is what sentence encoders are trained with (Reimers and Gurevych
    2019, https://arxiv.org/abs/1908.10084).

    Args:
        text_tower: A directory or hub id with a text model and its tokenizer, safetensors.
        image_tower: A directory or hub id with a picture model and its image processor.
        dimension: Numbers in the joint space's vectors.
        text_pooling: How token vectors become one.
        local_only: Look for hub ids in the local cache and nowhere else.
        seed: Decides the projections.

    Returns:
        A ``SentenceTransformer`` that is a ``Router`` of a text and an image route.

    Raises:
        EncoderError: A tower that is not there or not safetensors.
        TrainingError: A tower that does not take its modality.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Router
    from sentence_transformers.sentence_transformer.modules import Pooling

    if dimension < 2:
        raise ValueError(f"dimension must be at least 2, not {dimension}")
    text = _tower(text_tower, "text", local_only)
    image = _tower(image_tower, "image", local_only)
    has_class_token = any(n.endswith("cls_token") for n, _ in image.auto_model.named_parameters())
    sides: dict[str, list[Any]] = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name, tower, pooling in (
            ("text", text, text_pooling),
            ("image", image, "cls" if has_class_token else "mean"),
        ):
            width = _width(tower, name)
            project = Dense(width, dimension, bias=False, activation_function=None)
            sides[name] = [tower, Pooling(width, pooling), project]
    router = Router(sides, route_mappings={(None, name): name for name in sides})
    return SentenceTransformer(modules=[router, Normalize()])


def _tower(name: str | os.PathLike[str], modality: str, local_only: bool) -> Any:
    import torch
    from safetensors import SafetensorError
    from sentence_transformers.base.modules import Transformer

    directory: Path = locate_model(str(name), local_only=local_only)
    try:
        with without_progress_bars():
            tower: Any = Transformer(
                str(directory),
                # Networks may be stored in half precision; projections and training are not in it.
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
                modality_config={
                    modality: {"method": "forward", "method_output_name": "last_hidden_state"}
                },
                module_output_name="token_embeddings",
            )
    except (
        AttributeError,
        ImportError,
        KeyError,
        OSError,
        RuntimeError,
        SafetensorError,
        ValueError,
    ) as error:
        raise EncoderError(f"the {modality} tower {str(name)!r} does not load: {error}") from error
    return tower


def _width(tower: Any, modality: str) -> int:
    """How many numbers a position of the tower's output has, found by trying."""
    import torch
    from PIL import Image

    probe: dict[str, Any] = {"text": "a"}
    if modality == "image":
        probe = {"image": Image.new("RGB", (64, 64))}
    try:
        features = tower.preprocess([probe])
        with torch.inference_mode():
            return int(tower.eval()(features)["token_embeddings"].shape[-1])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise TrainingError(
            f"the {modality} tower does not take {'texts' if modality == 'text' else 'pictures'}: "
            f"{error}"
        ) from error
