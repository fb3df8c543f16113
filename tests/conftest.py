"""Fixtures that several test modules use."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.examples import examples
from tests.support.pictures import colour_folder
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace

# Two processes of tests and theirs share the cores: threads that spin would starve each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Torch, transformers and thousands of tests are a million objects that stay: looking through them
# as often as Python does by itself took up to a tenth of a file's time.
gc.set_threshold(10_000, 20, 20)

# No test fails for a slow machine.
settings.register_profile(
    "patient",
    deadline=None,
    max_examples=examples(25),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")

# Nor for being started in the background, where a shell has every program ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person who runs the tests has named is not known to them, and they add nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def encoder() -> ToyEncoder:
    return ToyEncoder()


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A folder ``cards`` of captioned pictures of one colour each, and one text."""
    return colour_folder(tmp_path / "cards")


@pytest.fixture
def space(tmp_path: Path, encoder: ToyEncoder) -> Iterator[SemanticSpace]:
    """An empty space on disk with the toy encoder."""
    with SemanticSpace.open(tmp_path / "toy.unisem", encoder=encoder) as opened:
        yield opened


@pytest.fixture
def card_space(space: SemanticSpace, cards: Path) -> SemanticSpace:
    """A space that holds the folder of cards."""
    assert not space.add_folder(cards).skipped
    return space
