"""A place where the docs' code runs: pictures, models, and a chat model on the loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core import Settings
from PIL import Image, ImageDraw, ImageFont

from tests.support.chat_server import ChatServer, chat_server
from tests.support.checkpoints import save_picture_cross_encoder, save_text_cross_encoder
from tests.support.image_to_text import save_blip
from tests.support.manuals import manual
from tests.support.pictures import colour_folder, noise, solid
from tests.support.toy import COLOURS
from tests.training.support import tiny_encoder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``models``, two rerankers, and ``parts``, two networks."""
    home = tmp_path_factory.mktemp("models")
    save_text_cross_encoder(home / "models" / "reads-texts")
    save_picture_cross_encoder(home / "seeing").rename(home / "models" / "sees-pictures")
    save_blip(home / "models" / "blip")
    (tiny_encoder(home / "tiny").parent / "parts").rename(home / "parts")
    return home


@pytest.fixture
def workplace(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what pages take for granted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Settings, "_embed_model", None)
    for folder in ("models", "parts"):
        (tmp_path / folder).symlink_to(models / folder)
    (tmp_path / "backups").mkdir()
    photos = colour_folder(tmp_path / "photos")
    lines = [
        {
            "file_name": f"{colour}.png",
            "text": f"a {colour} card",
            "published": True,
            "year": 2024 - place,
        }
        for place, colour in enumerate(COLOURS)
    ]
    table = "".join(json.dumps(line) + "\n" for line in lines)
    (photos / "metadata.jsonl").write_text(table, encoding="utf-8")
    solid("blue", (20, 20)).save("query.jpg")
    for number, name in enumerate(("tiger.jpg", "example.jpg", "xj.jpg")):
        noise(number).save(name)
    (tmp_path / "manuals").mkdir()
    (tmp_path / "manuals" / "machine.pdf").write_bytes(manual())
    (tmp_path / "shots").mkdir()
    screenshot = Image.new("RGB", (520, 80), "white")
    words = "Error: the parameter is incorrect"
    ImageDraw.Draw(screenshot).text((20, 20), words, "black", ImageFont.load_default(28))
    screenshot.save(tmp_path / "shots" / "error.png")
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in ("red.png", "blue.png", "green.png"):
        (linked / name).write_bytes((photos / name).read_bytes())
    (linked / "links.csv").write_bytes(
        b"picture,caption\nred.png,a red card\nblue.png\ngreen.png,caf\xe9\n../query.jpg,outside\n"
    )
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A chat model where both frameworks look for OpenAI's."""
    with chat_server(["Number [1]."]) as running:
        for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
            monkeypatch.setenv(name, running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield running
