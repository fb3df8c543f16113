"""`two_towers`: a joint encoder from a text model and a picture model that never met."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from unisem.encoders.loading import locate_model
from unisem.encoders.sides import is_joint
from unisem.errors import EncoderError, TrainingError
from unisem.models.loading import (
    in_short,
    loading_errors,
    refuse_empty_tokenizer,
)
from unisem.models.missing_weights import (
    refuse_adapter_within,
    refuse_random_weights,
    watched_loading,
)
from unisem.models.model_kind import read_config
from unisem.models.preparing import prepare_as_trained
from unisem.records import Modality

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

    A picture network is pooled as its checkpoint was trained: CLIP's gives its class token behind
    the last norm, SigLIP's what its attention pooling gives, a ViT its class token, a ConvNeXt or a
    ResNet the mean over its positions. Of a whole CLIP or SigLIP its picture side is taken.
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
        EncoderError: A tower that is not there, not safetensors, or lacks weights.
        TrainingError: A tower that does not take its modality.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Router
    from sentence_transformers.sentence_transformer.modules import Pooling

    if dimension < 2:
        raise ValueError(f"dimension must be at least 2, not {dimension}")
    text = _tower(str(text_tower), "text", local_only)
    image = _tower(str(image_tower), "image", local_only)
    sides: dict[str, list[Any]] = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name, tower in (("text", text), ("image", image)):
            width = int(_output(tower, name).shape[-1])
            sides[name] = [tower]
            if tower.module_output_name == "token_embeddings":
                pooling = text_pooling if name == "text" else _position_pooling(tower)
                sides[name].append(Pooling(width, pooling))
            sides[name].append(Dense(width, dimension, bias=False, activation_function=None))
    router = Router(sides, route_mappings={(None, name): name for name in sides})
    return SentenceTransformer(modules=[router, Normalize()])


def _tower(name: str, modality: Modality, local_only: bool) -> Any:
    """A network as a module that gives ``token_embeddings``, or a pooled ``sentence_embedding``."""
    from unisem.encoders.open_clip.mobile_clip import MobileClipConfig

    directory = locate_model(name, local_only=local_only)
    what = f"the {modality} tower {name!r}"
    refuse_adapter_within(directory, what, EncoderError)
    config = read_config(directory / "config.json", what, EncoderError)
    if config.get("model_type") == MobileClipConfig.model_type:
        raise TrainingError(
            f"{what} is a whole MobileCLIP, whose sides are not taken apart; train it as the "
            "encoder (--encoder), or pass another network, such as a BERT or a SigLIP"
        )
    with watched_loading() as loaded:
        tower = _loaded(lambda: _transformer(directory, modality), what)
    if is_joint(tower.auto_model):
        if modality == "text":
            raise TrainingError(
                f"{what} is a whole CLIP or SigLIP, with both sides; train it as the encoder "
                "(--encoder), or pass a text model, such as a BERT"
            )
        with watched_loading() as loaded:
            tower = _loaded(lambda: _picture_side(tower, directory), what)
    if modality == "text":
        refuse_empty_tokenizer(tower, what, EncoderError)
    prepare_as_trained(tower)
    _output(tower, modality)
    if modality == "image":
        _pool_as_trained(tower)
    refuse_random_weights(
        loaded, lambda: [_output(tower, modality)], what=what, failure=EncoderError
    )
    return tower


def _loaded(load: Callable[[], Any], what: str) -> Any:
    try:
        return load()
    except loading_errors() as error:
        raise EncoderError(f"{what} does not load: {in_short(error)}") from error


def _transformer(directory: Path, modality: Modality) -> Any:
    import torch
    from sentence_transformers.base.modules import Transformer

    return Transformer(
        str(directory),
        # Networks may be stored in half precision; projections and training are not in it.
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        modality_config={
            modality: {"method": "forward", "method_output_name": "last_hidden_state"}
        },
        module_output_name="token_embeddings",
    )


def _picture_side(joint: Any, directory: Path) -> Any:
    """The picture network of a CLIP or SigLIP, as if it had been saved by itself."""
    import torch
    from transformers import AutoModel

    network = AutoModel.from_pretrained(
        directory,
        config=joint.auto_model.config.vision_config,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
    )
    with TemporaryDirectory(prefix="unisem-") as alone:
        network.save_pretrained(alone)
        joint.processor.image_processor.save_pretrained(alone)
        return _transformer(Path(alone), "image")


def _pool_as_trained(tower: Any) -> None:
    """Let a picture network pool its positions itself, if it learned to."""
    import torch

    network = tower.auto_model
    if isinstance(getattr(getattr(network, "pooler", None), "dense", None), torch.nn.Linear):
        return  # a ViT's: its classifiers read the class token, and most checkpoints lack this one
    plain = tower.modality_config, tower.module_output_name
    tower.modality_config = {"image": {"method": "forward", "method_output_name": "pooler_output"}}
    tower.module_output_name = "sentence_embedding"
    try:
        if _output(tower, "image").dim() == 2:
            return
    except TrainingError:
        pass
    tower.modality_config, tower.module_output_name = plain


def _position_pooling(tower: Any) -> Literal["cls", "mean"]:
    named = (name for name, _ in tower.auto_model.named_parameters())
    return "cls" if any(name.endswith("cls_token") for name in named) else "mean"


def _output(tower: Any, modality: str) -> Any:
    """What a tower makes of one input, ``(1, positions, width)`` or ``(1, width)``."""
    from PIL import Image

    probe: dict[str, Any] = {"text": "a"}
    if modality == "image":
        probe = {"image": Image.new("RGB", (64, 64))}
    try:
        return tower.eval()(tower.preprocess([probe]))[tower.module_output_name]
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise TrainingError(
            f"the {modality} tower does not take {'texts' if modality == 'text' else 'pictures'}: "
            f"{in_short(error)}"
        ) from error
