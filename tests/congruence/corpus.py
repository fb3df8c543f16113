"""The corpus: texts, pictures and captioned pictures with metadata of all types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.support.pictures import noise, solid
from tests.support.toy import COLOURS
from unisem import Record

WORDS = (*COLOURS, "card", "paper", "tiger", "snow", "teapot", "harbour")
CITIES = ("Oslo", "Rome", "New York", "östlich")


def records(folder: Path) -> list[Record]:
    """The records in the order in which they are added; their pictures are written to a folder."""
    rng = np.random.default_rng(7)
    folder.mkdir()
    found = [Record(id=f"t{n:02}", text=_words(rng), metadata=_metadata(n)) for n in range(24)]
    found.append(Record(id="t99", text="red tiger", metadata={}))
    found.append(Record(id="t98", text="red tiger", metadata=_metadata(98)))  # its twin
    for n, colour in enumerate((*COLOURS, *range(6))):
        path = folder / f"{colour}.png"
        picture = solid(colour) if isinstance(colour, str) else noise(colour)
        picture.save(path)
        caption = _words(rng) if n % 2 else None
        found.append(Record(id=f"p{n:02}", image=path, text=caption, metadata=_metadata(n + 30)))
    return found


def _words(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, size=int(rng.integers(1, 6)), replace=False))


def _metadata(n: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "number": n,
        "weight": n / 4,
        "flag": n % 2 == 0,
        "city": CITIES[n % 4],
        "day": f"2024-{n % 12 + 1:02}-15",
        "tags": [WORDS[n % 5], WORDS[n % 7]],
        "sizes": [n % 3, n % 5],
        "mixed": (n, str(n), n % 2 == 0, None)[n % 4],
        "note": ("", "a note", None)[n % 3],
        "nothing": [] if n % 2 else ["x"],
    }
    if n % 5 == 0:
        del metadata["city"], metadata["tags"]
    return metadata
