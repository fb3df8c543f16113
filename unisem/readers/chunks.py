"""`PassageLimit`: cutting a text into passages that an encoder can take in whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*(?=\S)")

ReadsWhole = Callable[[str], bool]
"""Whether an encoder reads all of a text; `unisem.Encoder.reads_whole`."""


def everything(text: str) -> bool:
    """For those who do not know which encoder will read it."""
    del text
    return True


@dataclass(frozen=True, slots=True)
class PassageLimit:
    """How long a passage may be.

    Attributes:
        size: Characters.
        reads_whole: Whether the encoder reads all of a text. Asked of texts that are no longer
            than ``size``, it bounds passages whose characters are many tokens: code, Chinese.
    """

    size: int = 1000
    reads_whole: ReadsWhole = everything

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1, not {self.size}")

    def holds(self, text: str) -> bool:
        """Whether a text is short enough to be one passage."""
        return len(text) <= self.size and self.reads_whole(text)

    def has_room_after(self, head: str) -> bool:
        """Whether a head takes no more than half."""
        return self.holds(f"{head}\n\n{head}")

    def after(self, head: str) -> PassageLimit:
        """What is left for what follows a head and a blank line."""
        room = max(self.size - len(head) - 2, 1)
        return PassageLimit(room, lambda text: self.reads_whole(f"{head}\n\n{text}"))

    def cut(self, text: str) -> list[str]:
        """Cut a text at the largest seams that fit; see `chunk_text`."""
        chunks: list[str] = []
        for paragraph in _PARAGRAPH.split(text):
            pieces = self._fitting(paragraph.strip())
            # A paragraph joins the one before it only as a whole.
            if chunks and len(pieces) == 1 and self.holds(f"{chunks[-1]}\n\n{pieces[0]}"):
                chunks[-1] += "\n\n" + pieces[0]
            else:
                chunks += pieces
        return chunks

    def cut_lines(self, text: str) -> list[str]:
        """Cut code, a list or a table's rows between lines; only a longer line within it."""
        pieces: list[str] = []
        for line in text.strip("\n").splitlines():
            if pieces and self.holds(f"{pieces[-1]}\n{line}"):
                pieces[-1] += "\n" + line
            elif self.holds(line):
                pieces.append(line)
            else:
                pieces += self.cut(line)
        return [piece for piece in pieces if piece.strip()]

    def _fitting(self, paragraph: str) -> list[str]:
        if not paragraph or self.holds(paragraph):
            return [paragraph] if paragraph else []
        pieces: list[str] = []
        for sentence in _SENTENCE.split(paragraph):
            for word in [sentence] if self.holds(sentence) else sentence.split():
                for part in self._parts(word):
                    if pieces and self.holds(f"{pieces[-1]} {part}"):
                        pieces[-1] += " " + part
                    else:
                        pieces.append(part)
        return pieces

    def _parts(self, word: str) -> Iterable[str]:
        """A word, cut anywhere if need be."""
        waiting = [word[start : start + self.size] for start in range(0, len(word), self.size)]
        waiting.reverse()
        while waiting:
            part = waiting.pop()
            if len(part) == 1 or self.holds(part):
                yield part
            else:
                waiting += [part[len(part) // 2 :], part[: len(part) // 2]]


def chunk_text(text: str, size: int = 1000, *, reads_whole: ReadsWhole = everything) -> list[str]:
    r"""Cut a text into passages of at most ``size`` characters, at the largest seams that fit.

    Paragraphs stay together while they fit; a longer one is cut between sentences, a longer
    sentence between words, a longer word anywhere. Nothing but white space is lost.

    Args:
        text: The text.
        size: Characters that a passage may have.
        reads_whole: An encoder's `Encoder.reads_whole`: a passage has no more tokens, either, than
            that encoder reads.

    >>> chunk_text("One. Two.\n\nThree.", size=12)
    ['One. Two.', 'Three.']
    """
    return PassageLimit(size, reads_whole).cut(text)
