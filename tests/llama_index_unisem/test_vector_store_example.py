"""The example script of the vector store, on a small folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.toy import ToyEncoder

SCRIPT = Path(__file__).parents[2] / "examples" / "llama_index_vector_store.py"


@pytest.mark.parametrize("kept", [True, False])
def test_finds_cards(
    cards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kept: bool,
) -> None:
    monkeypatch.setattr(
        "llama_index_unisem.embeddings.embedding.load_encoder", lambda *_, **__: ToyEncoder()
    )
    spec = importlib.util.spec_from_file_location("vector_store_example", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    store = ["--store", str(tmp_path / "cards.unisem")] if kept else []
    for _ in range(2):
        module.main(["a red card", "--folder", str(cards), *store])
        printed = capsys.readouterr().out.splitlines()
        assert [line for line in printed if not line.startswith(" ")] == [
            "by meaning:",
            "by words and meaning:",
            "pictures only:",
        ]
        for line in (printed[1], printed[5], printed[9]):
            assert line.split()[1].endswith("red.png")
