"""Pairs of WebDataset tar shards: ``000012.jpg`` beside ``000012.txt`` or ``000012.json``.

In JSON the caption, or a list of captions of the one picture, is under ``caption``, ``text`` or
``title``.

The library ``webdataset`` opens the files and groups their members by key. Its decoders are not
used: they would unpickle members named ``.pkl`` or ``.pyd``. Nor is its way of opening names, which
runs a shell for one that begins with ``pipe:``; it is handed open files. Members that are neither
pictures, ``.txt`` nor ``.json`` are passed over and counted.

Training needs its pictures in any order, so they are unpacked once, each file named by its
content; what is there already is not written again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unisem.common.skipped import Skipped
from unisem.errors import ImageError, TrainingError
from unisem.pairs.pair import Pair, ReadPairs
from unisem.pairs.sources.unpacking import Unpacked
from unisem.readers.folder import PICTURES
from unisem.readers.texts import decode_text

_CAPTION_KEYS = ("caption", "text", "title")
_ENDINGS = {suffix.removeprefix(".") for suffix in PICTURES}


def read_shards(shards: Sequence[Path], unpack_to: Path) -> ReadPairs:
    """Read tar shards.

    Args:
        shards: The tar files, in order.
        unpack_to: The folder for their pictures.

    Raises:
        TrainingError: ``webdataset`` is not installed, or none of the files could be read; if only
            some could not, or not to their end, they are in ``skipped``.
    """
    unpacked = Unpacked(unpack_to)
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    passed_over: Counter[str] = Counter()
    read = 0
    damaged: list[Skipped] = []
    for shard in shards:
        for sample in _samples(shard, damaged):
            read += 1
            found = _pairs_of(sample, shard, unpacked, passed_over)
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                pairs += found
    if damaged and not read:
        raise TrainingError(f"{damaged[0].name} {damaged[0].reason}")
    skipped += damaged
    for ending, count in sorted(passed_over.items()):
        skipped.append(Skipped(f"*.{ending}", f"{count:,} members of this kind are not read"))
    return tuple(pairs), tuple(skipped)


def _samples(shard: Path, damaged: list[Skipped]) -> Iterator[dict[str, Any]]:
    """The samples of a shard, up to where it is damaged."""
    try:
        from webdataset import tariterators  # type: ignore[import-untyped]
    except ImportError:
        raise TrainingError("reading tar shards needs pip install 'unisem[train]'") from None
    try:
        with shard.open("rb") as stream:
            source = [{"url": shard.name, "stream": stream}]
            yield from tariterators.group_by_keys(tariterators.tar_file_expander(source))
    except Exception as error:  # noqa: BLE001 - tarfile and webdataset raise many kinds
        what = error.args[0] if error.args else error  # webdataset adds the open file to the words
        damaged.append(Skipped(str(shard), f"cannot be read as a tar shard: {what}"))


def _pairs_of(
    sample: dict[str, Any], shard: Path, unpacked: Unpacked, passed_over: Counter[str]
) -> list[Pair] | Skipped:
    key = f"{shard}: {sample.get('__key__', '?')}"
    members = {
        name: value
        for name, value in sample.items()
        if not name.startswith("__") and isinstance(value, bytes)
    }
    pictures = [name for name in members if name.rpartition(".")[2] in _ENDINGS]
    for name in members:
        if name not in pictures and name not in ("txt", "json"):
            passed_over[name.rpartition(".")[2]] += 1
    if not pictures:
        return Skipped(key, "has no picture")
    captions = _captions(members)
    if isinstance(captions, str):
        return Skipped(key, captions)
    try:
        image = unpacked.add(members[pictures[0]], key)
    except ImageError as error:
        return Skipped(key, error.reason)
    return [Pair.of(image, caption, key) for caption in captions]


def _captions(members: dict[str, bytes]) -> list[str] | str:
    try:
        if "txt" in members:
            return [decode_text(members["txt"]).strip()]
        content = json.loads(members["json"]) if "json" in members else {}
    except (ValueError, RecursionError) as error:
        return f"its caption cannot be read ({error})"
    for name in _CAPTION_KEYS if isinstance(content, dict) else ():
        found = content.get(name)
        captions = [found] if isinstance(found, str) else found
        if isinstance(captions, list) and all(isinstance(text, str) for text in captions):
            return [text.strip() for text in captions]
    return "has no caption: no .txt, and no caption, text or title in a .json"
