"""Names that are no model's are one typed error, for encoders and for rerankers."""

from __future__ import annotations

from pathlib import Path

import pytest

from unisem import load_encoder, load_reranker
from unisem.errors import EncoderError, RerankerError

NAMES = ["mine", "mine/", "mine//", "a/b/", "/gone/mine/", "~/mine", "a b/c", "a/b c", "a--b/c..d"]
NAMES += ["", "@", "-/-", "ä/ö", "a\0b", "x" * 5000, "a/" + "b" * 200]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_means_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderError) as encoder:
        load_encoder(name)
    with pytest.raises(RerankerError) as reranker:
        load_reranker(name)
    for error in (encoder.value, reranker.value):
        assert repr(name) in str(error)
        assert "\n" not in str(error)
