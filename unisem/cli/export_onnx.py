"""``unisem export-onnx``: an encoder that needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.terminal import results

if TYPE_CHECKING:
    from unisem.images.reference import ImageRef

_ENOUGH = 128  # pictures that ranges are measured on


def export_onnx(
    encoder: Annotated[str, typer.Argument(metavar="ENCODER", help="A directory or a hub id.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="The directory to make.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise: smaller, faster, and other vectors.")
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Examples for --int8 of a convolutional tower, such as mini's.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Write an encoder that onnxruntime runs: it starts at once, and needs no torch."""
    from unisem.encoders import load_encoder
    from unisem.encoders.onnx import export_onnx as export

    if pictures is not None and not int8:
        raise typer.BadParameter("only --int8 looks at examples", param_hint="--pictures")
    written = export(load_encoder(encoder), output, int8=int8, pictures=_examples(pictures))
    alike = ", ".join(f"{side} {cosine:.7f}" for side, cosine in written.cosines.items())
    results().print(
        f"wrote {written.directory}; least cosine to torch's vectors: {alike}\n"
        f'Use it by that name: load_encoder("{written.directory}")',
        soft_wrap=True,
        markup=False,
    )


def _examples(folder: Path | None) -> list[ImageRef]:
    """Pictures from all over a folder, as many as are of use."""
    from unisem.readers import FolderReader
    from unisem.records import Record

    if folder is None:
        return []
    records = [record for record in FolderReader(folder) if isinstance(record, Record)]
    found = [record.image for record in records if record.image is not None]
    return found[:: max(1, len(found) // _ENOUGH)][:_ENOUGH]
