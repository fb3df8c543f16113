"""Stored tokens: kept to the bit, refused where damaged, and made anew."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from unisem.errors import RerankerError
from unisem.rerank.int8_vectors import Int8Form
from unisem.rerank.token_form import FixedHalves
from unisem.rerank.token_store import TEXT, TokenStore, token_files

PRINT = "ab" * 32
FORM = FixedHalves((3, 4))


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path, PRINT, FORM)


def some(count: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(count, 3, 4)).astype(np.float16)
    return {f"{n:064x}": row for n, row in enumerate(rows)}


def packed(tokens: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {key: FORM.packed(rows) for key, rows in tokens.items()}


def test_what_is_written_is_read_to_the_bit(store: TokenStore, tmp_path: Path) -> None:
    tokens = some(1200)  # more than one statement looks up
    assert store.read(tokens) == {}
    assert token_files(tmp_path) == []
    store.write(packed(tokens))
    found = store.read([*tokens, "f" * 64])
    assert found.keys() == tokens.keys()
    for digest, rows in tokens.items():
        assert found[digest].tobytes() == rows.tobytes()
    (file,) = token_files(tmp_path)
    assert (file.picture_bytes, file.texts, file.text_bytes, file.pool_factor) == (
        24,
        0,
        None,
        None,
    )
    assert (file.path, file.pictures, file.size) == (store.path, 1200, store.path.stat().st_size)
    assert TokenStore(tmp_path, "cd" * 32, FORM).read(tokens) == {}


def test_only_what_is_wanted_is_kept(store: TokenStore) -> None:
    tokens = some(300)
    store.write(packed(tokens))
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
    store.write(packed(tokens))
    with sqlite3.connect(store.path) as connection:
        connection.execute(damage)
    assert sorted(store.read(tokens)) == sorted(tokens)[1:]
    assert "tokens of 1 pictures or texts are damaged" in caplog.text
    store.write(packed({sorted(tokens)[0]: tokens[sorted(tokens)[0]]}))
    assert store.read(tokens).keys() == tokens.keys()


@pytest.mark.parametrize("content", [b"no database at all" * 100, None, b""])
def test_a_damaged_file_is_made_anew(
    store: TokenStore, content: bytes | None, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    tokens = some(200)
    store.write(packed(tokens))
    if content is None:  # its first page is whole
        whole = store.path.read_bytes()
        content = whole[:4096] + b"\xff" * (len(whole) - 4096)
    store.path.write_bytes(content)
    assert store.read(tokens) == {}
    if content:
        assert "cannot be read" in caplog.text
    with caplog.at_level(logging.WARNING):
        store.write(packed(tokens))
    assert store.read(tokens).keys() == tokens.keys()


def test_a_strangers_file_with_a_view_is_not_asked(store: TokenStore) -> None:
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE VIEW tokens AS SELECT 'a' AS image, 1 AS checksum, 2 AS numbers")
    assert store.read(["a"]) == {}
    (file,) = token_files(store.path.parent)
    assert file.pictures is None


def test_a_link_is_not_followed(store: TokenStore, tmp_path: Path) -> None:
    other = TokenStore(tmp_path, "cd" * 32, FORM)
    other.write(packed(some(1)))
    store.path.symlink_to(other.path)
    assert store.read(some(1)) == {}
    with pytest.raises(RerankerError, match="is a link"):
        store.write(packed(some(2)))
    assert len(token_files(tmp_path)) == 1


def test_sizes(store: TokenStore, tmp_path: Path) -> None:
    with pytest.raises(RerankerError, match=r"32,768 bytes a picture, more than the 16,384"):
        TokenStore(tmp_path, PRINT, FixedHalves((128, 128)))
    with pytest.raises(ValueError, match="must be"):
        packed({"a": np.zeros((3, 5), np.float16)})
    with pytest.raises(RerankerError, match="cannot be written"):
        TokenStore(tmp_path / "nowhere", PRINT, FORM).write(packed(some(1)))


def test_vectors_that_are_pooled_otherwise_are_not_mixed(tmp_path: Path) -> None:
    vectors = np.eye(4, dtype=np.float32)
    one, three = (TokenStore(tmp_path, PRINT, Int8Form(factor)) for factor in (1, 3))
    one.write({"a": one.form.packed(vectors), f"{TEXT}a": one.form.packed(vectors[:2])})
    (file,) = token_files(tmp_path)
    assert (file.pictures, file.texts, file.pool_factor) == (1, 1, 1)
    assert (file.picture_bytes, file.text_bytes) == (2 + 4 * 8, 2 + 2 * 8)
    with pytest.raises(RerankerError, match="pooled by 1, not by 3"):
        three.write({"b": three.form.packed(vectors)})
    assert one.read(["a", "b"]).keys() == {"a"}
    one.drop_other_forms()
    assert len(one.read(["a"])) == 1
    three.drop_other_forms()
    three.write({"b": three.form.packed(vectors)})
    assert token_files(tmp_path)[0].pool_factor == 3
    assert three.read(["a", "b"]).keys() == {"b"}
