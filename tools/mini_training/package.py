"""`write`: the trained encoder as a directory, from the start model's files and a head."""

from __future__ import annotations

import hashlib
import json
import shutil
import string
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tools.mini_training.head import BeliefHead
from tools.mini_training.sources import LOCK, REPOSITORY, Sources
from unisem import load_encoder
from unisem.encoders.onnx import export_onnx

CARD = REPOSITORY / "tools" / "train_mini_card.md"
BELIEVE, PLACE = "image_1_Dense", "image_2_Dense"


def write(head: BeliefHead, base: Path, output: Path, sources: Sources) -> None:
    """Replace ``output`` by ``base`` with the head's weights in float16, graphs and a card.

    The checksums of all files go into the lock.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        built = Path(scratch) / "model"
        shutil.copytree(base, built)
        weight, bias, places = (
            np.ascontiguousarray(values.detach().numpy().astype(np.float16))
            for values in map(head.whole, ("weight", "bias", "places"))
        )
        save(built / BELIEVE, {"linear.bias": bias, "linear.weight": weight})
        save(built / PLACE, {"linear.weight": np.ascontiguousarray(places.T)})
        edit(built / BELIEVE / "config.json", out_features=len(weight))
        edit(built / PLACE / "config.json", in_features=len(weight))
        rows = "\n".join(
            f"| `{a.name}` {a.version} | {a.licence} | `{a.sha256}` |"
            for a in sources.archives.values()
        )
        card = string.Template(CARD.read_text("utf-8"))
        (built / "README.md").write_text(card.substitute(sources=rows), "utf-8")
        shutil.rmtree(built / "onnx", ignore_errors=True)
        export_onnx(load_encoder(str(built)), Path(scratch) / "exported")
        (Path(scratch) / "exported" / "onnx").rename(built / "onnx")
        shutil.rmtree(output, ignore_errors=True)
        built.rename(output)
    lock = json.loads(LOCK.read_text("utf-8")) | {"files": digests(output)}
    LOCK.write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n", "utf-8")


def save(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    """Replace a layer's weights."""
    path = folder / "model.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)


def edit(path: Path, **changed: int) -> None:
    """Set top-level keys of a JSON file, in their places."""
    content = json.loads(path.read_text("utf-8")) | changed
    path.write_text(json.dumps(content, indent=4), "utf-8")


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file under ``folder`` by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
