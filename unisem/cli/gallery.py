"""Where the example gallery lies: inside an installed package, or in a checkout."""

from __future__ import annotations

from pathlib import Path

import unisem


def find_gallery(given: Path | None = None) -> Path:
    """Return the gallery's folder.

    Args:
        given: A folder that the person named; nowhere else is looked then.

    Raises:
        FileNotFoundError: It is not there; says what to do.
    """
    package = Path(unisem.__file__).parent
    places = [given] if given else [package / "gallery", package.parent / "examples" / "gallery"]
    for place in places:
        if (place / "metadata.jsonl").is_file():
            return place
    if given:
        raise FileNotFoundError(f"{given} is not the gallery: it has no metadata.jsonl")
    raise FileNotFoundError(
        "this installation came without the example gallery; take examples/gallery from a "
        "checkout of UniSem and pass --gallery DIR"
    )
