"""``unisem convert``: open_clip's checkpoints as models that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unisem.cli.terminal import results


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Has open_clip_config.json and open_clip_model.safetensors.",
            exists=True,
            file_okay=False,
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="The directory to make.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Has the tokenizer's files, if the source has none.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Write a CLIP, SigLIP or MobileCLIP of open_clip's as a model that load_encoder takes."""
    from unisem.encoders.open_clip import convert_open_clip

    made = convert_open_clip(source, output, tokenizer=tokenizer)
    results().print(
        f"wrote {made.directory}: {made.kind}, {made.dimension} numbers a vector, fingerprint "
        f"{made.fingerprint[:12]}\n"
        f'Use it by that name: load_encoder("{made.directory}")',
        soft_wrap=True,
        markup=False,
    )
