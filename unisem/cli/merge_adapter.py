"""``unisem merge-adapter``: an adapter and its base as one encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unisem.cli.terminal import results


def merge_adapter(
    adapter: Annotated[
        Path, typer.Argument(metavar="ADAPTER", help="A folder of `unisem train --save adapter`.")
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="The directory to make.")],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The model that it adapts, if that is a directory of yours."
        ),
    ] = None,
) -> None:
    """Put an adapter and the model that it adapts together: an encoder like any other."""
    from unisem.training import merge_adapter as merge

    written = merge(adapter, output, base=base)
    results().print(f"{written} is ready: pass it as the encoder", soft_wrap=True, markup=False)
