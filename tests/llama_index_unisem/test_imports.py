"""What importing the package costs, and what it says when LlamaIndex is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import llama_index_unisem
from unisem import __version__

ROOT = Path(__file__).parents[2]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_import_loads_no_torch_no_faiss_and_little_else() -> None:
    done = run(
        "import llama_index.core, sys\n"
        "before = set(sys.modules)\n"
        "import llama_index_unisem\n"
        "assert 'unisem.space' not in sys.modules\n"
        "llama_index_unisem.UniSemEmbedding, llama_index_unisem.UniSemRetriever\n"
        "llama_index_unisem.UniSemVectorStore\n"
        "heavy = {'torch', 'faiss', 'sentence_transformers', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "more = {name.partition('.')[0] for name in sys.modules.keys() - before}\n"
        "more -= {'unisem', 'llama_index_unisem', 'numpy', 'orjson', 'PIL'}\n"
        "more -= sys.stdlib_module_names\n"
        "assert not more, more\n"
    )
    assert done.returncode == 0, done.stderr


def test_missing_llama_index_is_named_with_what_to_install() -> None:
    done = run(
        "import sys\n"
        "sys.modules['llama_index'] = None\n"
        "sys.modules['llama_index.core'] = None\n"
        "from llama_index_unisem import UniSemRetriever\n"
    )
    assert done.returncode != 0
    assert "ImportError" in done.stderr.splitlines()[-1]
    assert 'pip install "unisem[llama-index]"' in done.stderr.splitlines()[-1]


def test_names() -> None:
    assert llama_index_unisem.__version__ == __version__
    assert {"UniSemEmbedding", "UniSemRetriever", "UniSemVectorStore"} <= set(
        dir(llama_index_unisem)
    )
    for name in llama_index_unisem.__all__:
        assert getattr(llama_index_unisem, name) is not None
    with pytest.raises(AttributeError, match="UniSemTelepathy"):
        _ = llama_index_unisem.UniSemTelepathy
