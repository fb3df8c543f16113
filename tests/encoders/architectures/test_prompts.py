"""A role's prompt is found by each of the names that models give it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unisem import Encoder, load_encoder
from unisem.encoders.base import Role


@pytest.mark.parametrize(
    ("role", "name"),
    [("query", "SearchQuery"), ("document", "passage"), ("document", "Retrieval-document")],
)
def test_prompts_by_other_names_are_used(
    checkpoint: Callable[[str], Path],
    loaded: Callable[[str], Encoder],
    tmp_path: Path,
    role: Role,
    name: str,
) -> None:
    copy = Path(shutil.copytree(checkpoint("BERT + ViT"), tmp_path / "copy"))
    described = copy / "config_sentence_transformers.json"
    known = json.loads(described.read_text())
    # sentence-transformers puts empty prompts of its own names beside these
    described.write_text(json.dumps(known | {"prompts": {name: "the photo of "}}))
    plain = loaded("BERT + ViT").encode_texts(["the photo of a cat"])
    asked = load_encoder(str(copy))
    np.testing.assert_allclose(asked.encode_texts(["a cat"], role), plain, atol=1e-6)
    bare = {"query_instruction": ""} if role == "query" else {"document_instruction": ""}
    silent = load_encoder(str(copy), **bare).encode_texts(["the photo of a cat"], role)  # type: ignore[arg-type]
    np.testing.assert_allclose(silent, plain, atol=1e-6)  # nothing is nothing by any name
    other: Role = "document" if role == "query" else "query"
    assert np.abs(asked.encode_texts(["a cat"], other) - plain).max() > 1e-3
