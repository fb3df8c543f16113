"""`save_calibration` and `load_calibration`: a calibration as one safetensors file.

Tensors hold means and banks, the file's metadata one JSON object with the rest. What is read may
come from a stranger: size, shapes, numbers and choices are checked before anything is used.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.calibration.calibration import Calibration, Choices, PairChoice
from unisem.calibration.kinds import QUERY_KINDS, SIDES, DocumentKind
from unisem.calibration.reference import Reference
from unisem.common.atomic_files import publish
from unisem.errors import CalibrationError

VERSION = 4
"""Of the layout of the file."""
FUSED = 5
"""The same with fused vectors, which those have that were fitted to such."""
_LARGEST = 1 << 28  # bytes
_LARGEST_BANK = 1 << 16
_ENTRY = "unisem"
_UNIT = 1e-2  # how far from 1 the length of a bank's vector may be, at half precision
_DOCUMENTS: dict[int, tuple[DocumentKind, ...]] = {VERSION: SIDES, FUSED: (*SIDES, "both")}


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration, whole or not at all; banks at half precision.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(packed(calibration))
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def packed(calibration: Calibration) -> bytes:
    """What the file of a calibration holds; the same for the same calibration."""
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {}
    counts = {}
    version = FUSED if "both" in calibration.documents_of else VERSION
    for name, side, kind in _references(version):
        reference = _sides(calibration, side)[kind]
        tensors[f"{name}.mean"] = np.ascontiguousarray(reference.mean, np.float32)
        tensors[f"{name}.bank"] = np.ascontiguousarray(reference.bank, np.float16)
        counts[name] = reference.count
    described = {
        "version": version,
        "fingerprint": calibration.fingerprint,
        "seed": calibration.seed,
        "counts": counts,
        "choices": asdict(calibration.choices),
        "pairs": {f"{a} {b}": asdict(pair) for (a, b), pair in calibration.pairs.items()},
    }
    return save(tensors, {_ENTRY: json.dumps(described, sort_keys=True)})


def load_calibration(path: Path) -> Calibration:
    """Read and check a calibration.

    Raises:
        CalibrationError: Missing, damaged, of a newer version, too large, or its numbers mean
            nothing.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > _LARGEST:
            raise CalibrationError(f"{path} has more than {_LARGEST:,} bytes; fit it anew")
        with safe_open(path, framework="numpy") as file:
            described = json.loads((file.metadata() or {})[_ENTRY])
            version = described["version"]
            if version not in _DOCUMENTS:
                raise CalibrationError(
                    f"{path} has version {version!r}; this version of unisem reads "
                    f"{VERSION} and {FUSED}. Upgrade unisem, or fit it anew"
                )
            tensors = {
                f"{name}.{part}": file.get_tensor(f"{name}.{part}")
                for name, _, _ in _references(version)
                for part in ("mean", "bank")
            }
        return _read(described, tensors)
    except CalibrationError:
        raise
    except (
        OSError,
        SafetensorError,
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise CalibrationError(
            f"{path} cannot be read as a calibration ({error}); fit it anew"
        ) from error


def _read(described: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Calibration:
    dimension = tensors["document.text.mean"].shape[0]
    references = {
        name: _reference(
            tensors[f"{name}.mean"], tensors[f"{name}.bank"], described["counts"][name], dimension
        )
        for name, _, _ in _references(described["version"])
    }
    documents = _DOCUMENTS[described["version"]]
    fingerprint = described["fingerprint"]
    if not isinstance(fingerprint, str):
        raise ValueError("the fingerprint is no string")
    return Calibration(
        fingerprint=fingerprint,
        documents_of={kind: references[f"document.{kind}"] for kind in documents},
        queries_of={kind: references[f"query.{kind}"] for kind in QUERY_KINDS},
        choices=_checked(
            Choices, described["choices"] | {"scaled": tuple(described["choices"]["scaled"])}
        ),
        pairs={
            (asked, kind): _checked(PairChoice, described["pairs"][f"{asked} {kind}"])
            for asked in QUERY_KINDS
            for kind in documents
        },
        seed=int(described["seed"]),
    )


def _reference(mean: NDArray[Any], bank: NDArray[Any], count: Any, dimension: int) -> Reference:
    if mean.shape != (dimension,) or mean.dtype != np.float32 or bank.dtype != np.float16:
        raise ValueError("a mean or a bank has another shape or type than it should")
    if bank.ndim != 2 or bank.shape[1] != dimension or not 2 <= len(bank) <= _LARGEST_BANK:
        raise ValueError(f"a bank has the shape {bank.shape}")
    examples = bank.astype(np.float32)
    if not np.linalg.norm(mean) <= 1 + _UNIT:  # nothing compares with a NaN
        raise ValueError("a mean is longer than unit vectors have, or not finite")
    if not (np.abs(np.linalg.norm(examples, axis=1) - 1) <= _UNIT).all():
        raise ValueError("a bank's vectors are not finite or not of length 1")
    if int(count) < 1:
        raise ValueError(f"a mean is of {count!r} vectors")
    return Reference(mean, examples, int(count))


def _checked(kind: Any, values: dict[str, Any]) -> Any:
    """A value whose numbers are finite and of their type; itself it checks what they mean."""
    made = kind(**values)
    for field in fields(kind):
        value = getattr(made, field.name)
        if value is None or isinstance(value, tuple) or field.name in ("evidence", "score"):
            continue
        wanted = type(field.default) if isinstance(field.default, bool | int) else (int, float)
        if not isinstance(value, wanted) or not math.isfinite(value):
            raise ValueError(f"{field.name} is {value!r}")
    return made


def _references(version: int) -> list[tuple[str, str, Any]]:
    """What a file of a version holds: names of tensors, of what, and the kind."""
    sides = (("document", _DOCUMENTS[version]), ("query", QUERY_KINDS))
    return [(f"{side}.{kind}", side, kind) for side, kinds in sides for kind in kinds]


def _sides(calibration: Calibration, side: str) -> Any:
    return calibration.documents_of if side == "document" else calibration.queries_of
