"""Without torch: `requirements-slim.txt` is enough for all but what says that it is not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.checkpoints import save_text_cross_encoder
from tests.support.networks import save_bert

ROOT = Path(__file__).parents[3]
ABSENT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "sentence_transformers", "onnx"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import importlib.util
known = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name.partition(".")[0] in {"torch", "transformers", "sentence_transformers"}
    else known(name, package)
)
"""


def without_torch(program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ABSENT + program, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
    )


CLI = "from unisem.cli import main; main()"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (90, 60), colour).save(folder / f"{colour}.png")
        (folder / f"{colour}.txt").write_text(f"a {colour} square")
    return folder


def test_index_and_search(photos: Path, tmp_path: Path) -> None:
    built = without_torch(CLI, tmp_path, "index", "photos", "--into", "s.unisem")
    assert built.returncode == 0, built.stderr
    found = without_torch(CLI, tmp_path, "search", "s.unisem", "something green", "-k", "1")
    assert "green.png" in found.stdout, found.stderr


ADAPTERS = {
    "LangChain": """
from langchain_unisem import UniSemRetriever
from unisem import SemanticSpace
with SemanticSpace.open("s.unisem") as space:
    space.add_folder("photos")
    print(UniSemRetriever(space=space, k=1).invoke("something green")[0].page_content)
""",
    "LlamaIndex": """
from llama_index_unisem import UniSemRetriever
from unisem import SemanticSpace
with SemanticSpace.open("s.unisem") as space:
    space.add_folder("photos")
    print(UniSemRetriever(space=space, similarity_top_k=1).retrieve("something green")[0].text)
""",
}


@pytest.mark.parametrize("framework", ADAPTERS)
def test_both_frameworks(photos: Path, tmp_path: Path, framework: str) -> None:
    done = without_torch(ADAPTERS[framework], tmp_path)
    assert "a green square" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--data", "photos", "--output", "mine"),
        ("train-reranker", "--data", "photos", "--output", "mine"),
        ("search", "s.unisem", "x", "--reranker", "model"),
        ("export-onnx", "mini", "--output", "mine"),
        ("index", "photos", "--into", "other.unisem", "--encoder", "model"),
    ],
    ids=" ".join,
)
def test_what_needs_torch_says_so_in_a_sentence(
    photos: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    save_text_cross_encoder(tmp_path / "model")
    if "--encoder" in arguments:
        save_bert(tmp_path / "model")
    if "s.unisem" in arguments:
        without_torch(CLI, tmp_path, "index", "photos", "--into", "s.unisem")
    done = without_torch(CLI, tmp_path, *arguments)
    assert done.returncode == 1
    assert "torch and transformers and sentence_transformers are not installed" in " ".join(
        done.stderr.split()
    )
    assert "Traceback" not in done.stderr


def test_a_name_that_needs_torch_says_so(tmp_path: Path) -> None:
    done = without_torch("from unisem.training import train_encoder", tmp_path)
    assert "ImportError: unisem.training.train_encoder needs torch" in done.stderr


def test_the_list_is_the_project_without_what_torch_needs() -> None:
    def required(text: str) -> set[str]:
        return set(re.findall(r'^\s*"?([a-z][\w-]*)[><=]', text, re.MULTILINE))

    pyproject = (ROOT / "pyproject.toml").read_text()
    whole = required(pyproject.partition("dependencies = [")[2].partition("]")[0])
    slim = required((ROOT / "requirements-slim.txt").read_text())
    assert whole - slim == {"torch", "transformers", "sentence-transformers", "huggingface-hub"}
    assert slim <= whole
