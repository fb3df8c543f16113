"""Stored tokens: kept to the bit, refused where damaged, and made anew."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from unisem.errors import RerankerError
from unisem.rerank.token_store import TokenStore, token_files

PRINT = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path, PRINT, (3, 4))


def some(count: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(count, 3, 4)).astype(np.float16)
    return {f"{n:064x}": row for n, row in enumerate(rows)}


def test_what_is_written_is_read_to_the_bit(store: TokenStore, tmp_path: Path) -> None:
    tokens = some(1200)  # more than one statement looks up
    assert store.read(tokens) == {}
    assert token_files(tmp_path) == []
    store.write(tokens)
    found = store.read([*tokens, "f" * 64])
    assert found.keys() == tokens.keys()
    for digest, rows in tokens.items():
        assert found[digest].tobytes() == rows.tobytes()
    (file,) = token_files(tmp_path)
    assert (file.path, file.pictures, file.size) == (store.path, 1200, store.path.stat().st_size)
    assert TokenStore(tmp_path, "cd" * 32, (3, 4)).read(tokens) == {}


def test_only_what_is_wanted_is_kept(store: TokenStore) -> None:
    tokens = some(300)
    store.write(tokens)
    before = store.path.stat().st_size
    wanted = list(tokens)[:10]
    assert store.keep_only([*wanted, "f" * 64]) == 290
    assert sorted(store.read(tokens)) == sorted(wanted)
    assert store.path.stat().st_size < before
    assert store.keep_only(wanted) == 0


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tokens SET numbers = zeroblob(24) WHERE image LIKE '%0'",
        "UPDATE tokens SET numbers = substr(numbers, 2) WHERE image LIKE '%0'",
        "UPDATE tokens SET checksum = 'x' WHERE image LIKE '%0'",
        "UPDATE tokens SET numbers = 7 WHERE image LIKE '%0'",
    ],
)
def test_damaged_tokens_are_as_if_they_were_not_there(
    store: TokenStore, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = some(4)
    store.write(tokens)
    with sqlite3.connect(store.path) as connection:
        connection.execute(damage)
    assert sorted(store.read(tokens)) == sorted(tokens)[1:]
    assert "tokens of 1 pictures are damaged" in caplog.text
    store.write({sorted(tokens)[0]: tokens[sorted(tokens)[0]]})
    assert store.read(tokens).keys() == tokens.keys()


@pytest.mark.parametrize("content", [b"no database at all" * 100, None, b""])
def test_a_damaged_file_is_made_anew(
    store: TokenStore, content: bytes | None, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    tokens = some(200)
    store.write(tokens)
    if content is None:  # its first page is whole
        whole = store.path.read_bytes()
        content = whole[:4096] + b"\xff" * (len(whole) - 4096)
    store.path.write_bytes(content)
    assert store.read(tokens) == {}
    if content:
        assert "cannot be read" in caplog.text
    with caplog.at_level(logging.WARNING):
        store.write(tokens)
    assert store.read(tokens).keys() == tokens.keys()


def test_a_strangers_file_with_a_view_is_not_asked(store: TokenStore) -> None:
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE VIEW tokens AS SELECT 'a' AS image, 1 AS checksum, 2 AS numbers")
    assert store.read(["a"]) == {}
    (file,) = token_files(store.path.parent)
    assert file.pictures is None


def test_a_link_is_not_followed(store: TokenStore, tmp_path: Path) -> None:
    other = TokenStore(tmp_path, "cd" * 32, (3, 4))
    other.write(some(1))
    store.path.symlink_to(other.path)
    assert store.read(some(1)) == {}
    with pytest.raises(RerankerError, match="is a link"):
        store.write(some(2))
    assert len(token_files(tmp_path)) == 1


def test_sizes(store: TokenStore, tmp_path: Path) -> None:
    with pytest.raises(RerankerError, match=r"32,768 bytes a picture, more than the 16,384"):
        TokenStore(tmp_path, PRINT, (128, 128))
    with pytest.raises(ValueError, match="must be"):
        store.write({"a": np.zeros((3, 5), np.float16)})
    with pytest.raises(RerankerError, match="cannot be written"):
        TokenStore(tmp_path / "nowhere", PRINT, (3, 4)).write(some(1))
