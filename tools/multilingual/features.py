"""`E5`: multilingual-e5-small with nothing behind it, for what a head is to be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto

from tools.multilingual.graph import WIDTH, GraphWriter, pooled_layers
from tools.multilingual.head import LAYERS
from unisem.encoders.multilingual.package import WEIGHTS
from unisem.encoders.multilingual.vocabulary import tokenizer_of
from unisem.encoders.multilingual.weights import Array, Unpacked

PROMPT = "query: "
_TOKENS = 1024  # of a batch
_LONGEST = 128  # tokens of a text; those to learn from are short
_PAD = 1


class E5:
    """Means over a text's tokens, of the outputs of `LAYERS`.

    Args:
        unpacked: Vocabulary and weights.
    """

    def __init__(self, unpacked: Unpacked) -> None:
        self._tokenizer = tokenizer_of(unpacked.pieces)
        self._tokenizer.enable_truncation(_LONGEST)
        g = GraphWriter({WEIGHTS: unpacked.tensors})
        g.output("pooled", pooled_layers(g, LAYERS), TensorProto.FLOAT, WIDTH * len(LAYERS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        places = g.outside
        values = [unpacked.tensors[place.partition(":")[2]] for place in places]
        options.add_external_initializers(
            places, [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in values]
        )
        self._session = onnxruntime.InferenceSession(
            g.written(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, texts: Sequence[str]) -> Array:
        """``(n, len(LAYERS) * 384)`` float16; texts of one length go together."""
        read = [one.ids for one in self._tokenizer.encode_batch([PROMPT + t for t in texts])]
        order = sorted(range(len(texts)), key=lambda row: len(read[row]))
        pooled = np.empty((len(texts), WIDTH * len(LAYERS)), np.float16)
        while order:
            batch = order[: max(1, _TOKENS // (len(read[order[0]]) + 2))]
            order = order[len(batch) :]
            tokens = np.full((2, len(batch), max(len(read[row]) for row in batch)), _PAD, np.int64)
            tokens[1] = 0
            for line, row in enumerate(batch):
                tokens[0, line, : len(read[row])] = read[row]
                tokens[1, line, : len(read[row])] = 1
            given = dict(zip(("input_ids", "attention_mask"), tokens, strict=True))
            pooled[batch] = self._session.run(None, given)[0]
        return pooled


def stored(texts: Sequence[str], path: Path, e5: E5) -> Array:
    """The texts' features, computed once; the file must be of these texts."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, texts=np.array(texts), pooled=e5(texts))
    with np.load(path) as held:
        if held["texts"].tolist() != list(texts):
            raise SystemExit(f"{path} is of other texts; delete it and run again")
        pooled: Array = held["pooled"]
    return pooled
