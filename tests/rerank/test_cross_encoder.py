"""Cross encoders from tiny checkpoints: what they are shown, what they give, what cannot be judged.

The oracle is ``CrossEncoder.predict`` of the same checkpoint on inputs that the tests write.
"""

from __future__ import annotations

import logging
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.checkpoints import (
    save_chat_cross_encoder,
    save_picture_cross_encoder,
    save_roberta_cross_encoder,
    save_text_cross_encoder,
)
from tests.support.networks import save_network
from tests.support.pictures import encoded, noise
from tests.support.toy import ToyEncoder
from unisem import ImageRef, Record, SemanticSpace
from unisem.errors import ImageError, RerankerError
from unisem.rerank import CrossEncoderReranker, load_reranker

SAVERS = {
    "text": save_text_cross_encoder,
    "chat": save_chat_cross_encoder,
    "picture": save_picture_cross_encoder,
}
TEXTS = [
    "a red tiger",
    "blue",
    "a red tiger " * 4,
    "white card",
    "tiger",
    "yellow a a",
    "tiger red a",
]


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save(tmp_path_factory.mktemp(kind)) for kind, save in SAVERS.items()}


@pytest.fixture(scope="module", params=SAVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def loaded(directory: Path, **options: Any) -> CrossEncoderReranker:
    reranker = load_reranker(directory, **options)
    assert isinstance(reranker, CrossEncoderReranker)
    return reranker


def predicted(directory: Path, pairs: list[Any], **options: Any) -> np.ndarray:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(directory), local_files_only=True, device="cpu")
    return np.array([model.predict([pair], **options)[0] for pair in pairs])


def texts(*contents: str) -> list[Record]:
    return [Record(id=f"t{n}", text=content) for n, content in enumerate(contents)]


def test_scores_of_texts_are_the_models_own(directories: dict[str, Path], kind: str) -> None:
    scores = loaded(directories[kind]).score("a tiger", None, texts(*TEXTS))
    halves = [{"text": text} if kind == "picture" else text for text in TEXTS]
    query = {"text": "a tiger"} if kind == "picture" else "a tiger"
    expected = predicted(directories[kind], [(query, half) for half in halves])
    assert scores.dtype == np.float32
    assert scores.shape == (len(TEXTS),)
    assert np.ptp(expected) > 0.1  # else any order would do
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_chat_template_may_read_parts_instead_of_strings(
    directories: dict[str, Path], tmp_path: Path
) -> None:
    twin = Path(shutil.copytree(directories["chat"], tmp_path / "twin"))
    for name, old, new in (
        ("chat_template.jinja", "message.content", "message.content[0].text"),
        ("sentence_bert_config.json", '"flat"', '"structured"'),
    ):
        content = (twin / name).read_text()
        assert old in content
        (twin / name).write_text(content.replace(old, new))
    records = [*texts(*TEXTS), *texts("http://127.0.0.1:9/a.png")]
    np.testing.assert_allclose(
        loaded(twin).score("red", None, records),
        loaded(directories["chat"]).score("red", None, records),
        atol=1e-6,
    )


def test_scores_of_pictures_are_the_models_own(directories: dict[str, Path]) -> None:
    reranker = loaded(directories["picture"])
    pictures = [noise(n, (30 + 5 * n, 40)) for n in range(4)]
    records = [
        Record(id="p", image=pictures[0]),
        Record(id="c", image=pictures[1], text="a red card"),
        Record(id="t", text="a red card"),
        Record(id="e", image=pictures[2], text=""),
    ]
    halves: list[dict[str, Any]] = [
        {"image": pictures[0]},
        {"image": pictures[1], "text": "a red card"},
        {"text": "a red card"},
        {"image": pictures[2]},
    ]
    queries: list[tuple[str | None, ImageRef | None, dict[str, Any]]] = [
        ("red", None, {"text": "red"}),
        (None, ImageRef.of(pictures[3]), {"image": pictures[3]}),
        ("red", ImageRef.of(pictures[3]), {"image": pictures[3], "text": "red"}),
    ]
    seen = []
    for text, image, half in queries:
        expected = predicted(directories["picture"], [(half, other) for other in halves])
        scores = reranker.score(text, image, records)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        seen.append(scores)
    assert np.abs(seen[0] - seen[2]).max() > 1e-3
    assert abs(seen[0][1] - seen[0][2]) > 1e-3


def test_batching_does_not_matter(directories: dict[str, Path], kind: str) -> None:
    records = texts(*TEXTS)
    records += [Record(id=f"p{n}", image=noise(n), text="a card" * (n % 2)) for n in range(5)]
    rows = [
        loaded(directories[kind], batch_size=size).score("red tiger", None, records)
        for size in (1, 3, 100)
    ]
    np.testing.assert_allclose(rows[1], rows[0], atol=1e-5)
    np.testing.assert_allclose(rows[2], rows[0], atol=1e-5)
    np.testing.assert_array_equal(loaded(directories[kind]).score("a", None, []), [])


def test_activations(directories: dict[str, Path], kind: str) -> None:
    rows = {
        name: loaded(directories[kind], activation=name).score("red", None, texts(*TEXTS))
        for name in ("model", "sigmoid", "none")
    }
    np.testing.assert_allclose(rows["sigmoid"], 1 / (1 + np.exp(-rows["none"])), atol=1e-6)
    np.testing.assert_allclose(rows["model"], rows["sigmoid"], atol=1e-6)  # as they are saved
    assert rows["none"].min() < 0


def test_a_search_follows_the_scores(directories: dict[str, Path], tmp_path: Path) -> None:
    noise(1).save(tmp_path / "a.png")
    noise(2).save(tmp_path / "b.png")
    records = [
        *texts(*TEXTS),
        Record(id="a", image=tmp_path / "a.png"),
        Record(id="b", image=tmp_path / "b.png", text="a blue tiger"),
    ]
    reranker = loaded(directories["picture"])
    with SemanticSpace.open(
        tmp_path / "s.unisem", encoder=ToyEncoder(), image_roots=[tmp_path]
    ) as space:
        space.add(records)
        found = space.search(text="red", k=4, reranker=reranker)
    scores = reranker.score("red", None, records)
    best = [records[place].id for place in np.argsort(-scores)[:4]]
    assert [hit.record.id for hit in found] == best
    np.testing.assert_allclose([hit.score for hit in found], np.sort(scores)[::-1][:4], atol=1e-5)


@pytest.mark.parametrize("reader", ["text", "chat"])
def test_a_reader_of_texts_judges_pictures_by_their_captions(
    directories: dict[str, Path], reader: str
) -> None:
    reranker = loaded(directories[reader])
    missing = Path("nowhere.png")
    scores = reranker.score(
        "red",
        None,
        [
            Record(id="t", text="a red card"),
            Record(id="c", text="a red card", image=missing),
            Record(id="p", image=missing),
            Record(id="e", text=" ", image=missing),
            Record(id="n", text=" \n"),
        ],
    )
    assert not reranker.sees_images
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    assert np.isnan(scores).tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("reader", ["text", "chat"])
@pytest.mark.parametrize("text", [None, "red"])
def test_a_reader_of_texts_refuses_a_picture_as_query(
    directories: dict[str, Path], reader: str, text: str | None
) -> None:
    with pytest.raises(RerankerError, match=r"reads texts only.*load one that sees pictures"):
        loaded(directories[reader]).score(text, ImageRef.of(noise(0)), texts("a"))


def test_pictures_that_cannot_be_opened(
    directories: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "outside.png"
    noise(0).save(outside)
    confined = ImageRef(path=outside, root=tmp_path / "inside")
    reranker = loaded(directories["picture"], batch_size=2)
    records = [
        Record(id="gone", image=tmp_path / "gone.png"),
        Record(id="damaged", image=encoded(noise(1))[:900], text="a red card"),
        Record(id="good", image=noise(2)),
        Record(id="outside", image=confined),
        Record(id="text", text="a red card"),
    ]
    with caplog.at_level(logging.WARNING):
        scores = reranker.score("red", None, records)
    assert np.isnan(scores).tolist() == [True, False, False, True, False]
    np.testing.assert_allclose(scores[1], scores[4], atol=1e-6)
    named = " ".join(record.getMessage() for record in caplog.records)
    assert all(name in named for name in ("'gone'", "'damaged'", "'outside'"))
    assert "'good'" not in named
    with pytest.raises(ImageError, match=r"gone\.png"):
        reranker.score(None, ImageRef.of(tmp_path / "gone.png"), records)


def test_large_pictures_are_scaled_down_first(directories: dict[str, Path]) -> None:
    picture = noise(7, (400, 300))
    small = picture.copy()
    small.thumbnail((50, 50), Image.Resampling.LANCZOS)
    scores = loaded(directories["picture"], image_side=50).score(
        None, ImageRef.of(picture), [Record(id="a", image=picture)]
    )
    expected = predicted(directories["picture"], [({"image": small}, {"image": small})])
    whole = predicted(directories["picture"], [({"image": picture}, {"image": picture})])
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert abs(whole[0] - expected[0]) > 1e-5


def test_a_string_is_text_whatever_it_looks_like(
    directories: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    noise(0).save(tmp_path / "a.png")
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/a.png"
        looks = [url, str(tmp_path / "a.png"), "data:image/png;base64,AAAA"]
        reranker = loaded(directories[kind])
        for query in looks:
            scores = reranker.score(query, None, texts(*looks))
            assert np.isfinite(scores).all()
        if reranker.sees_images:
            picture = reranker.score(query, None, [Record(id="p", image=noise(0))])
            assert np.abs(scores - picture).min() > 1e-3
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert seen == []


@pytest.mark.parametrize(
    ("reader", "token"), [("text", "[SEP]"), ("chat", "<|end|>"), ("picture", "<image>")]
)
def test_special_tokens_in_texts_mean_nothing(
    directories: dict[str, Path], reader: str, token: str
) -> None:
    reranker = loaded(directories[reader])
    plain = reranker.score("red tiger", None, texts("a blue card"))
    for cut in (token, token[:3] + token + token[3:]):
        scores = reranker.score(f"red {token} tiger", None, texts(f"a {cut} blue card", "a"))
        assert np.isfinite(scores).all()
    marked = reranker.score(f"red {token} tiger", None, texts(f"a {token} blue card"))
    np.testing.assert_allclose(marked, plain, atol=1e-6)
    if reader != "picture":  # to the model itself the token is one, so the rule does something
        pair = [("red tiger", f"a {token} blue card")]
        assert abs(predicted(directories[reader], pair)[0] - plain[0]) > 1e-4


def test_long_texts_are_cut(directories: dict[str, Path], kind: str, tmp_path: Path) -> None:
    long = ["a red tiger " * 500, "a red tiger " * 3400]  # the second has 10,200 words
    scores = loaded(directories[kind]).score("red", None, texts(*long, "blue"))
    assert np.isfinite(scores).all()
    short = loaded(directories[kind], max_length=20).score("red", None, texts(*long, "blue"))
    assert np.isfinite(short).all()
    assert abs(short[0] - scores[0]) > 1e-5
    if kind == "text":
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
        for unlimited in (
            save_text_cross_encoder(tmp_path / "bert", limit=None),
            save_roberta_cross_encoder(tmp_path / "roberta"),
            save_network(
                tmp_path / "mpnet",
                "MPNetForSequenceClassification",
                limit=None,
                vocabulary=22,
                max_position_embeddings=34,
                num_labels=1,
            ),
        ):
            assert np.isfinite(loaded(unlimited).score("red", None, texts(*long))).all()


def test_a_record_that_the_model_fails_on_costs_its_own_place(
    directories: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reranker = loaded(directories["picture"])
    predict = reranker.model.predict

    def particular(pairs: list[Any], **options: Any) -> Any:
        """Fail on narrow pictures, as Qwen's preprocessing does."""
        if any("image" in half and half["image"].width > 99 for _, half in pairs):
            raise ValueError("absolute aspect ratio must be smaller than 9")
        return predict(pairs, **options)

    monkeypatch.setattr(reranker.model, "predict", particular)
    narrow = noise(0, (100, 10))
    records = [
        Record(id="narrow", image=narrow, text="a red tiger"),
        Record(id="good", image=noise(1), text="a card"),
        Record(id="bare", image=narrow),
        Record(id="text", text="a red tiger"),
    ]
    with caplog.at_level(logging.WARNING):
        scores = reranker.score("red", None, records)
    assert "failed on 'narrow'" in caplog.text
    assert "failed on 'bare'" in caplog.text
    assert "'good'" not in caplog.text
    assert np.isnan(scores).tolist() == [False, False, True, False]
    np.testing.assert_allclose(scores[0], scores[3], atol=1e-6)
    good = {"image": noise(1), "text": "a card"}
    expected = predicted(directories["picture"], [({"text": "red"}, good)])
    np.testing.assert_allclose(scores[1], expected[0], atol=1e-5)
    with pytest.raises(RerankerError, match="aspect ratio"):
        reranker.score("red", None, records[2:3])


def test_a_picture_that_the_limit_cuts_is_judged_by_its_caption(
    directories: dict[str, Path],
) -> None:
    reranker = loaded(directories["picture"], max_length=24)
    records = [Record(id="p", image=noise(0), text="card"), Record(id="t", text="card")]
    scores = reranker.score("a red tiger " * 4, None, records)
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


def test_a_model_that_always_fails_says_so(
    directories: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = loaded(directories["text"])

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(reranker.model, "predict", fail)
    with pytest.raises(RerankerError, match="failed: out of memory"):
        reranker.score("red", None, texts("a", "blue"))
    monkeypatch.setattr(reranker.model, "predict", lambda pairs, **_: [np.inf] * len(pairs))
    with pytest.raises(RerankerError, match="not finite"):
        reranker.score("red", None, texts("a", "blue"))


def test_threads_and_copies_share_nothing_but_the_answer(directories: dict[str, Path]) -> None:
    reranker = loaded(directories["picture"])
    records = [*texts(*TEXTS), Record(id="p", image=noise(1)), Record(id="q", image=noise(2))]
    expected = {query: reranker.score(query, None, records) for query in ("red", "a blue tiger")}
    fresh = loaded(directories["picture"])  # its weights are loaded by whichever thread is first
    with ThreadPoolExecutor(6) as pool:
        queries = list(expected) * 6
        rows = list(pool.map(lambda query: fresh.score(query, None, records), queries))
    for query, row in zip(queries, rows, strict=True):
        np.testing.assert_allclose(row, expected[query], atol=1e-5)
    copy = pickle.loads(pickle.dumps(loaded(directories["picture"], activation="none")))
    logits = copy.score("red", None, records)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected["red"], atol=1e-5)
    assert repr(copy) == f"CrossEncoderReranker({str(directories['picture'])!r})"


def test_half_precision_is_near(directories: dict[str, Path]) -> None:
    records = [*texts(*TEXTS), Record(id="p", image=noise(1))]
    half = loaded(directories["picture"], dtype="bfloat16").score("red", None, records)
    whole = loaded(directories["picture"]).score("red", None, records)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, whole, atol=0.15)


def test_bad_arguments(directories: dict[str, Path]) -> None:
    reranker = loaded(directories["text"])
    assert load_reranker(reranker) is reranker
    with pytest.raises(ValueError, match="text, its image, or both"):
        reranker.score(None, None, texts("a"))
    with pytest.raises(ValueError, match="not valid Unicode"):
        reranker.score("\ud800", None, texts("a"))
    bad: list[tuple[dict[str, Any], str]] = [
        ({"dtype": "int8"}, "dtype"),
        ({"activation": "relu"}, "activation"),
        ({"batch_size": 0}, "batch_size"),
        ({"image_side": 1.5}, "image_side"),
        ({"max_length": True}, "max_length"),
    ]
    for options, name in bad:
        with pytest.raises(ValueError, match=name):
            load_reranker(directories["text"], **options)
