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


@pytest.mark.parametrize("name", ["/", ".", "..", "./", "photos"])
def test_a_directory_without_a_model_is_not_searched(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name such as ``/`` stands for a directory, but to look for weights takes a whole disk."""
    (tmp_path / "here" / "photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")

    def searched(self: Path, pattern: str) -> None:
        raise AssertionError(f"{self} is searched for {pattern}")

    monkeypatch.setattr(Path, "rglob", searched)
    with pytest.raises(EncoderError, match="holds no saved model") as encoder:
        load_encoder(name)
    with pytest.raises(RerankerError, match="holds no saved model") as reranker:
        load_reranker(name)
    for error in (encoder.value, reranker.value):
        assert str(error).startswith(repr(name))
