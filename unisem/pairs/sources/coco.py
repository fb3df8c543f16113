"""Pairs of a COCO captions file (``captions_train2017.json``): several captions per picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unisem.common.skipped import Skipped
from unisem.errors import TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs.pair import Pair, ReadPairs


def read_coco(annotations: Path, images: Path) -> ReadPairs:
    """Read a file of ``{"images": [{id, file_name}], "annotations": [{image_id, caption}]}``.

    Source: Chen et al. 2015, "Microsoft COCO Captions", https://arxiv.org/abs/1504.00325.

    Args:
        annotations: The JSON file.
        images: The folder of its pictures; a name that leads outside is refused when opened.

    Raises:
        TrainingError: The file is not such a JSON file.
    """
    try:
        content = json.loads(annotations.read_bytes())  # UTF-8 or UTF-16
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{annotations} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise TrainingError(f'{annotations} is not COCO captions: it needs "images", "annotations"')
    root = images.resolve()
    files = {
        item["id"]: item["file_name"]
        for item in content["images"]
        if isinstance(item, dict)
        and isinstance(item.get("id"), int | str)
        and isinstance(item.get("file_name"), str)
    }
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    for number, item in enumerate(content["annotations"]):
        found = _pair(item, files, root)
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            skipped.append(Skipped(f"{annotations}: annotation {number}", found))
    return tuple(pairs), tuple(skipped)


def _pair(item: Any, files: dict[int | str, str], root: Path) -> Pair | str:
    if not isinstance(item, dict) or not isinstance(item.get("caption"), str):
        return 'has no "caption"'
    key = item.get("image_id")
    if not isinstance(key, int | str) or key not in files:
        return f"its image_id {key!r} is not among the images"
    return Pair.of(ImageRef(path=root / files[key], root=root), item["caption"].strip(), str(key))
