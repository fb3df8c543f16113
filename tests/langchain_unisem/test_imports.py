"""What importing the package does, and does not do."""

from __future__ import annotations

import subprocess
import sys

import pytest

import langchain_unisem
from unisem import __version__

NAMES = [
    "CaptionImages",
    "ChatModelCaptioner",
    "ChatModelExtractor",
    "EmbeddingsEncoder",
    "ImageQuery",
    "MultimodalPrompt",
    "ImageBlobParser",
    "DocumentBlobParser",
    "DocumentLoader",
    "ImageFolderLoader",
    "ParsedDocuments",
    "SpaceRecordManager",
    "TextsOnly",
    "UniSemEmbeddings",
    "UniSemInlineRetrievalTool",
    "UniSemReranker",
    "UniSemRetrievalTool",
    "UniSemRetriever",
    "UniSemTranslator",
    "UniSemVectorStore",
    "__version__",
    "aformat_documents",
    "format_documents",
    "image_document",
    "image_key",
]
HEAVY = "{'torch', 'faiss', 'sentence_transformers', 'transformers'}"


def python(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_public_names() -> None:
    assert sorted(langchain_unisem.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(langchain_unisem))
    for name in NAMES:
        assert getattr(langchain_unisem, name) is not None
    assert langchain_unisem.__version__ == __version__


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="'langchain_unisem' has no attribute 'Nonsense'"):
        _ = langchain_unisem.Nonsense


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, langchain_unisem; print({HEAVY} & set(sys.modules))"
    assert python(code) == "set()"


def test_using_every_name_loads_nothing_heavy() -> None:
    code = f"import sys; from langchain_unisem import *; print({HEAVY} & set(sys.modules))"
    assert python(code) == "set()"


def test_import_brings_nothing_beyond_langchain_core() -> None:
    code = (
        "import sys, langchain_core.retrievers, langchain_core.prompts\n"
        "before = set(sys.modules)\n"
        "import langchain_unisem\n"
        "packages = {name.partition('.')[0] for name in sys.modules.keys() - before}\n"
        "print(packages - {'unisem', 'langchain_unisem'} - sys.stdlib_module_names)\n"
    )
    assert python(code) == "set()"


def test_without_langchain_core_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['langchain_core'] = None\n"
        "for name in ('langchain_unisem', 'langchain_unisem.retrievers'):\n"
        "    try: __import__(name)\n"
        "    except ImportError as error: print(error)\n"
    )
    lines = python(code).splitlines()
    assert len(lines) == 2
    assert all('pip install "unisem[langchain]"' in line for line in lines)
