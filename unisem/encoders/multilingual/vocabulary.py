"""`Vocabulary`: 250,000 pieces of words, ready to be looked up, and tokenizers made of them.

A tokenizer of all pieces takes .4 seconds and 280 MB to load. But a text is cut into pieces that
occur in it, and a tokenizer of those alone, a few dozen, cuts it in the same way and is made in a
millisecond.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unisem.errors import EncoderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Piece = tuple[str, float]
"""Letters, and how likely they are: a logarithm."""
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # the first tokens, in every tokenizer made here


class Vocabulary:
    """All pieces, in the order of their letters.

    Args:
        path: What `write` wrote.

    Raises:
        EncoderError: It is damaged.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            held = load_file(path)
            self._letters = _Letters(held["letters"], held["starts"])
            self._numbers, self._scores = held["numbers"], held["scores"]
            special = np.flatnonzero(self._numbers < len(_SPECIAL))
            ordered = special[np.argsort(self._numbers[special])].tolist()
            # How unlikely a letter is that no piece has depends on the least likely piece.
            self._always = [*ordered, int(np.argmin(self._scores))]
        except (KeyError, OSError, SafetensorError, ValueError) as error:
            raise EncoderError(
                f"{path} is damaged ({error}); delete {path.parent}, and it is made anew"
            ) from error

    @staticmethod
    def write(pieces: Sequence[Piece], path: Path) -> None:
        """Write a vocabulary, given by number of token."""
        from safetensors.numpy import save_file

        letters = [piece.encode() for piece, _ in pieces]
        order = sorted(range(len(pieces)), key=letters.__getitem__)
        ends = np.cumsum([len(letters[number]) for number in order])
        tensors: dict[str, np.ndarray[Any, Any]] = {
            "letters": np.frombuffer(b"".join(letters[number] for number in order), np.uint8),
            "starts": np.concatenate([[0], ends]).astype(np.uint32),
            "numbers": np.array(order, np.int32),
            "scores": np.array([score for _, score in pieces], np.float32)[order],
        }
        save_file(tensors, path)

    def tokenizer_for(self, texts: Sequence[str]) -> tuple[Tokenizer, np.ndarray[Any, Any]]:
        """A tokenizer that cuts these texts, and only these, as that of all pieces does.

        Args:
            texts: Short ones: a letter takes some 50 microseconds.

        Returns:
            The tokenizer, and the numbers of its tokens among all pieces.
        """
        blank = tokenizer_of([(name, 0.0) for name in _SPECIAL])
        words = {
            word
            for text in texts
            for word, _ in blank.pre_tokenizer.pre_tokenize_str(
                blank.normalizer.normalize_str(text)
            )
        }
        places = dict.fromkeys(self._always)
        places.update(dict.fromkeys(place for word in words for place in self._inside(word)))
        pieces = [
            (str(self._letters[place], "utf-8"), float(self._scores[place])) for place in places
        ]
        return tokenizer_of(pieces), self._numbers[list(places)]

    def _inside(self, word: str) -> Iterator[int]:
        """Places of the pieces that occur in a word."""
        for start in range(len(word)):
            wanted, place = b"", 0
            for letter in word[start:]:
                wanted += letter.encode()
                place = bisect_left(self._letters, wanted, place)
                if place == len(self._letters):
                    break
                found = self._letters[place]
                if found == wanted:
                    yield place
                elif not found.startswith(wanted):  # so none does
                    break


class _Letters(Sequence[bytes]):
    """Pieces' letters, one after the other in one array; where each begins, and the end of all."""

    def __init__(self, letters: Any, starts: Any) -> None:
        self._letters, self._starts = memoryview(letters), memoryview(starts)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, place: Any) -> Any:
        return self._letters[self._starts[place] : self._starts[place + 1]].tobytes()


def tokenizer_of(pieces: Sequence[Piece]) -> Tokenizer:
    """XLM-RoBERTa's tokenizer: letters as SentencePiece reads them, then Unigram."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram

    numbers = {piece: number for number, (piece, _) in enumerate(pieces)}
    tokenizer = Tokenizer(Unigram(list(pieces), numbers["<unk>"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Strip(left=False, right=True),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, numbers[name]) for name in ("<s>", "</s>")]
    )
    return tokenizer
