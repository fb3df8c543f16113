"""``unisem convert``: what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tests.support.open_clip_files import CLIP, clip_tensors, save, save_clip_words
from unisem import load_encoder


def test_convert(run: Run, tmp_path: Path) -> None:
    source = save(tmp_path / "source", CLIP, clip_tensors(1))
    result = run("convert", source, "--output", "made")
    assert (result.exit_code, "no tokenizer" in result.stderr) == (1, True)
    assert not Path("made").exists()
    save_clip_words(tmp_path / "words")
    result = run("convert", source, "--output", "made", "--tokenizer", tmp_path / "words")
    assert result.exit_code == 0, result.output
    assert f"clip, 24 numbers a vector, fingerprint {load_encoder('made').fingerprint[:12]}" in (
        result.stdout
    )
    assert run("convert", source, "--output", "made").exit_code == 1
