"""Mini-multilingual makes sense, and is `mini` where it should be."""

from __future__ import annotations

import copy
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.pictures import noise
from unisem import Encoder, load_encoder
from unisem.encoders.multilingual.package import MODEL_DIRECTORY
from unisem.encoders.multilingual.weights import Unpacked, widened
from unisem.errors import EncoderError

CATS = {
    "zh": "一只黑猫睡在沙发上",
    "ja": "黒い猫がソファで眠っている",
    "de": "eine schwarze Katze schläft auf dem Sofa",
    "es": "un gato negro duerme en el sofá",
    "fr": "un chat noir dort sur le canapé",
    "ru": "чёрная кошка спит на диване",
    "ar": "قطة سوداء تنام على الأريكة",
    "hi": "सोफे पर एक काली बिल्ली सो रही है",
}
ENGLISH = ["a black cat sleeps on the sofa", "a red car", "children in the snow", "a bowl of soup"]


@pytest.mark.parametrize("language", CATS)
def test_a_translation_is_nearest_to_its_english(multilingual: Encoder, language: str) -> None:
    query = multilingual.encode_texts([CATS[language]], role="query")[0]
    scores = multilingual.encode_texts(ENGLISH) @ query
    assert scores[0] > scores[1:].max() + 0.1


def test_passages_are_read_whole_by_both(multilingual: Encoder) -> None:
    mini, word = load_encoder("mini"), "cat "
    for count in (10, 200, 300, 600):
        text = word * count
        assert multilingual.reads_whole(text) == mini.reads_whole(text) == (count < 250)


def test_english_is_where_mini_puts_it(multilingual: Encoder) -> None:
    ours = load_encoder("mini").encode_texts(ENGLISH)
    assert (multilingual.encode_texts(ENGLISH) * ours).sum(1).min() > 0.95


def test_pictures_are_minis_and_the_fingerprint_is_not(multilingual: Encoder) -> None:
    mini = load_encoder("mini")
    pictures = [noise(1, (320, 200)), noise(2, (50, 90))]
    np.testing.assert_array_equal(
        multilingual.encode_images(pictures), mini.encode_images(pictures)
    )
    prepared = [multilingual.prepare_image(picture) for picture in pictures]
    np.testing.assert_array_equal(
        multilingual.encode_prepared(prepared), mini.encode_prepared(prepared)
    )
    assert multilingual.fingerprint != mini.fingerprint == multilingual.image_fingerprint
    assert mini.image_fingerprint == mini.fingerprint
    assert (multilingual.name, multilingual.dimension) == ("mini-multilingual", mini.dimension)


def test_vectors_do_not_depend_on_their_neighbours(multilingual: Encoder) -> None:
    texts = [*CATS.values(), *ENGLISH, "a cat " * 60]
    together = multilingual.encode_texts(texts)
    alone = np.concatenate([multilingual.encode_texts([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=2e-5)
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda text: multilingual.encode_texts([text])[0], texts))
    np.testing.assert_allclose(many, alone, atol=2e-5)
    copied = copy.deepcopy(multilingual)
    np.testing.assert_array_equal(copied.encode_texts(texts[:1]), alone[:1])


@pytest.mark.parametrize(
    "text",
    ["", " ", "🐅", "\u200d", "🐅🏻 tigre 虎 тигр نمر", "<mask> </s>", "\x00\x1b", "ｔｉｇｅｒ"],
)
def test_any_text_has_a_vector(multilingual: Encoder, text: str) -> None:
    (vector,) = multilingual.encode_texts([text])
    assert np.isfinite(vector).all()
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5


def test_names_of_tokens_are_words(multilingual: Encoder) -> None:
    plain, named, spelled = multilingual.encode_texts(["a cat", "a <pad> cat", "a < pad> cat"])
    np.testing.assert_array_equal(named, spelled)
    assert plain @ named < 0.999


def test_a_million_characters_are_read_as_far_as_the_model_reads(multilingual: Encoder) -> None:
    long, short = multilingual.encode_texts(["虎在草丛里。" * 170_000, "虎在草丛里。" * 1_000])
    assert long @ short > 0.9999


def test_only_onnxruntime_runs_it(multilingual: Encoder) -> None:
    for asked in ({"runtime": "torch"}, {"device": "cuda"}, {"dtype": "float16"}):
        with pytest.raises(EncoderError, match="is run by onnxruntime on a CPU"):
            load_encoder("mini-multilingual", **asked)  # type: ignore[arg-type]
    with pytest.raises(EncoderError, match="use mini"):
        multilingual.in_torch()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_graph_is_the_network_that_transformers_knows(
    multilingual: Encoder, unpacked: Unpacked
) -> None:
    """Of a text in each language, and a batch with padding: BERT by transformers, the head here."""
    from tools.multilingual.head import LAYERS

    texts = [*CATS.values(), "猫", "a long text " * 30]
    inputs = multilingual._tokens(texts, "query")  # type: ignore[attr-defined]
    head = {
        k: v.astype(np.float32) for k, v in load_file(MODEL_DIRECTORY / "head.safetensors").items()
    }
    given = (_layers_by_transformers(unpacked, inputs, LAYERS) - head["mean"]) * head["scale"]
    inner = given @ head["inner.w"] + head["inner.b"]
    inner = inner / 2 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    expected = given @ head["straight.w"] + head["straight.b"] + inner @ head["outer.w"]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    english = 1 / (1 + np.exp(-(inner @ head["english.w"] + head["english.b"])))
    vectors, is_english = multilingual._outputs("text", inputs)  # type: ignore[attr-defined]
    np.testing.assert_allclose(vectors, expected, atol=1e-3)
    np.testing.assert_allclose(is_english, english, atol=1e-3)


def _layers_by_transformers(
    unpacked: Unpacked, inputs: dict[str, np.ndarray], layers: tuple[int, ...]
) -> np.ndarray:
    import torch
    from transformers import BertConfig, BertModel

    model = BertModel(
        BertConfig(
            vocab_size=250037, hidden_size=384, num_attention_heads=12, intermediate_size=1536
        ),
        add_pooling_layer=False,
    ).eval()
    names = {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "ao": "attention.output.dense",
        "aln": "attention.output.LayerNorm",
        "fi": "intermediate.dense",
        "fo": "output.dense",
        "oln": "output.LayerNorm",
    }
    held = dict(unpacked.tensors)
    words = widened(held.pop("word.halves"), held.pop("word.scales")).reshape(-1, 384)
    state = {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": held.pop("emb.pos"),
        "embeddings.token_type_embeddings.weight": held.pop("emb.type"),
        "embeddings.LayerNorm.weight": held.pop("emb.ln.w"),
        "embeddings.LayerNorm.bias": held.pop("emb.ln.b"),
    }
    for name, values in held.items():
        layer, part, kind = name.split(".")
        suffix = {"w": "weight", "b": "bias"}[kind]
        state[f"encoder.layer.{layer[1:]}.{names[part]}.{suffix}"] = values.T
    model.load_state_dict({name: torch.tensor(value.copy()) for name, value in state.items()})
    ids, mask = (torch.tensor(inputs[name]) for name in ("input_ids", "attention_mask"))
    with torch.inference_mode():
        outputs = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    share = mask[..., None] / mask.sum(1)[:, None, None]
    return np.concatenate([(outputs[layer] * share).sum(1).numpy() for layer in layers], axis=1)
