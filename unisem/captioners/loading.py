"""`load_captioner`: a captioner by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from unisem.captioners.base import Captioner
from unisem.captioners.cross_modal import CrossModalCaptioner
from unisem.captioners.image_to_text import ImageToTextCaptioner
from unisem.captioners.tags import TagCaptioner
from unisem.encoders import Encoder, load_encoder
from unisem.errors import CaptionerError
from unisem.models.finding import find_model, is_hub_id
from unisem.models.model_kind import model_kind, read_config

TAGS = "tags"
"""The captioner that needs no further model."""


def load_captioner(
    name: str | os.PathLike[str] | Captioner,
    *,
    encoder: Encoder | str | None = None,
    vocabulary: Sequence[str] | None = None,
    prompt: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    beams: int = 1,
    max_tokens: int = 40,
    local_only: bool = False,
) -> Captioner:
    """Find a captioner by name; weights are loaded when it first writes.

    Args:
        name: ``"tags"``; a directory with a saved image-to-text model or a cross-modal
            Transformer; or a hub id, optionally ``owner/name@revision``. A `Captioner` is returned
            as it is.
        encoder: What ``"tags"`` embeds tags and pictures with, `mini` if ``None``; and whose
            towers a cross-modal Transformer looks into, unless it finds another one by the name
            that it was trained with.
        vocabulary: The tags; those that are shipped if ``None``.
        prompt: As of `ImageToTextCaptioner`.
        device: As of `ImageToTextCaptioner`.
        dtype: As of `ImageToTextCaptioner`.
        beams: As of `ImageToTextCaptioner`.
        max_tokens: As of `ImageToTextCaptioner`.
        local_only: Look for a hub id in the local cache and nowhere else.

    Raises:
        CaptionerError: No such model, or one whose weights are not safetensors.
        EncoderError: There is no such encoder.
        ValueError: An argument is out of range, or does not go with the captioner.
    """
    if isinstance(name, Captioner):
        return name
    found = os.fspath(name)
    if found == TAGS:
        return TagCaptioner(load_encoder("mini" if encoder is None else encoder), vocabulary)
    if vocabulary is not None:
        raise ValueError(f"a vocabulary is for the captioner {TAGS!r}, not for {found!r}")
    directory = find_model(
        found,
        "captioner",
        CaptionerError,
        example="Salesforce/blip-image-captioning-base",
        local_only=local_only,
    )
    if model_kind(directory, f"the captioner {found!r}", CaptionerError) == "unisem-cross-modal":
        strange = {"prompt": prompt, "device": device, "dtype": None if dtype == "float32" else 1}
        if refused := [setting for setting, value in strange.items() if value is not None]:
            raise ValueError(f"{found!r} is a cross-modal Transformer and has no {refused[0]}")
        return CrossModalCaptioner(
            found,
            directory,
            encoder=_towers(found, directory, encoder),
            beams=beams,
            max_tokens=max_tokens,
        )
    return ImageToTextCaptioner(
        found,
        directory,
        prompt=prompt,
        device=device,
        dtype=dtype,
        beams=beams,
        max_tokens=max_tokens,
    )


def _towers(name: str, directory: Path, encoder: Encoder | str | None) -> Encoder | None:
    """The encoder that is at hand, unless the model can find the one that it was trained with."""
    if encoder is None:
        return None
    given = load_encoder(encoder)
    config = read_config(directory / "config.json", f"the captioner {name!r}", CaptionerError)
    wanted = str(config.get("encoder"))
    return None if given.name != wanted and (wanted == "mini" or is_hub_id(wanted)) else given
