"""A question in Chinese, over pictures alone: the core, both frameworks and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

import langchain_unisem
import llama_index_unisem
from unisem import Record, SemanticSpace
from unisem.cli.app import application

QUESTION = "红绿灯"


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """A space of three drawings without words."""
    light = Image.new("RGB", (300, 600), (120, 170, 230))
    draw = ImageDraw.Draw(light)
    draw.rectangle((90, 60, 210, 420), fill=(25, 25, 25))
    draw.rectangle((140, 420, 160, 600), fill=(40, 40, 40))
    for top, colour in ((80, (255, 30, 20)), (195, (80, 70, 0)), (310, (0, 70, 20))):
        draw.ellipse((105, top, 195, top + 90), fill=colour)
    envelope = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(envelope)
    draw.rectangle((40, 60, 360, 240), outline="black", width=6)
    draw.line((40, 60, 200, 160, 360, 60), fill="black", width=6)
    pictures = {"light": light, "envelope": envelope, "blue": Image.new("RGB", (90, 90), "blue")}
    place = tmp_path / "streets.unisem"
    with SemanticSpace.open(place, encoder="mini-multilingual") as space:
        for name, picture in pictures.items():
            picture.save(tmp_path / f"{name}.png")
            space.add([Record(id=name, image=tmp_path / f"{name}.png")])
    return place


def test_every_front_gives_one_answer(streets: Path) -> None:
    with SemanticSpace.open(streets) as space:
        expected = [(hit.record.id, hit.score) for hit in space.search(QUESTION, k=3)]
        assert expected[0][0] == "light"
        documents = langchain_unisem.UniSemVectorStore(space=space).similarity_search_with_score(
            QUESTION, k=3
        )
        assert [(document.id, score) for document, score in documents] == expected
        nodes = llama_index_unisem.UniSemRetriever(space=space, similarity_top_k=3).retrieve(
            QUESTION
        )
        assert [(node.node.node_id, node.score) for node in nodes] == expected
        embedded = space.encoder.encode_texts([QUESTION], role="query")[0]
    result = CliRunner().invoke(
        application(), ["search", str(streets), QUESTION, "-k", "3", "--json"]
    )
    assert result.exit_code == 0
    shown = json.loads(result.stdout)["hits"]
    assert [hit["id"] for hit in shown] == [name for name, _ in expected]
    for vector in (
        langchain_unisem.UniSemEmbeddings(model="mini-multilingual").embed_query(QUESTION),
        llama_index_unisem.UniSemEmbedding("mini-multilingual").get_query_embedding(QUESTION),
    ):
        np.testing.assert_allclose(np.float32(vector), embedded, atol=1e-6)
