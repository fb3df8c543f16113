"""`CaptionTokenizer`: the words that a cross-modal Transformer reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from unisem.errors import RerankerError

if TYPE_CHECKING:
    from torch import Tensor

_SPECIAL = ("[PAD]", "[UNK]", "[BEGIN]", "[END]")
PAD, UNKNOWN, BEGIN, END = range(4)
_MOST_CHARACTERS = 20_000  # of a text that are looked at; far more than any length of words


class CaptionTokenizer:
    """Texts to ids of whole words and parts of words, learned from captions, and back.

    Small letters only, accents kept. Names of special tokens in a text are read as plain words.

    Args:
        tokenizer: A ``tokenizers.Tokenizer``; use `learn` or `read`.
    """

    def __init__(self, tokenizer: Any) -> None:
        tokenizer.encode_special_tokens = True  # "[END]" in a text is three plain words
        self._tokenizer = tokenizer

    @classmethod
    def learn(cls, captions: Iterable[str], *, words: int = 8000) -> CaptionTokenizer:
        """Learn the vocabulary of captions.

        Byte-pair merges (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909): frequent words
        become one id, rare ones several.

        Args:
            captions: What there is to read.
            words: Size of the vocabulary, at most.
        """
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
        from tokenizers.decoders import Metaspace

        tokenizer = Tokenizer(models.BPE(unk_token=_SPECIAL[1]))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
        )
        tokenizer.decoder = Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=words, special_tokens=list(_SPECIAL), show_progress=False
        )
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer)

    @classmethod
    def read(cls, text: str, what: str) -> CaptionTokenizer:
        """Read what `text` gave.

        Args:
            text: JSON.
            what: What to call the model in an error.

        Raises:
            RerankerError: It is damaged, or another model's.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises the bare class
            raise RerankerError(f"{what} has a damaged tokenizer.json: {error}") from error
        if [tokenizer.id_to_token(number) for number in range(len(_SPECIAL))] != [*_SPECIAL]:
            raise RerankerError(f"{what} has the tokenizer.json of another kind of model")
        return cls(tokenizer)

    @property
    def text(self) -> str:
        """The tokenizer as JSON."""
        written: str = self._tokenizer.to_str()
        return written

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    def ids(self, texts: Sequence[str], length: int) -> list[list[int]]:
        """Each text's ids, at most ``length``; a text without words is one unknown word."""
        cut = [text[:_MOST_CHARACTERS] for text in texts]
        found = self._tokenizer.encode_batch(cut, add_special_tokens=False)
        return [one.ids[:length] or [UNKNOWN] for one in found]

    def padded(self, texts: Sequence[str], length: int) -> tuple[Tensor, Tensor]:
        """Ids of texts, ``(n, l)`` int64, and which of them are words, ``(n, l)`` bool."""
        return pad(self.ids(texts, length))

    def captions(self, texts: Sequence[str], length: int) -> tuple[Tensor, Tensor]:
        """What a writer reads and what it is to predict, ``(n, l)`` int64 each, ``PAD`` behind."""
        ids = self.ids(texts, length - 1)
        return pad([[BEGIN, *row] for row in ids])[0], pad([[*row, END] for row in ids])[0]

    def words(self, ids: Sequence[int]) -> str:
        """The text of ids, as far as the sign that ends it."""
        written = list(ids)
        if END in written:
            written = written[: written.index(END)]
        text: str = self._tokenizer.decode(written, skip_special_tokens=True)
        return text.strip()


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of ids as one ``(n, l)`` int64 tensor, and ``(n, l)`` bool: what is no padding."""
    import torch

    longest = max((len(row) for row in rows), default=0)
    ids = torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows], dtype=torch.int64)
    lengths = torch.tensor([len(row) for row in rows])
    return ids.view(len(rows), longest), torch.arange(longest) < lengths[:, None]
