"""`GraphExtractor`: a chat model that is asked which things a text is about.

The core knows no framework: what asks a model is a subclass in each framework's package.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from unisem.common.threads import settled
from unisem.errors import GraphError
from unisem.graph.extraction.answer import Extracted
from unisem.models.loading import in_short
from unisem.presentation.fence import RULES, result

PROMPT = (
    "Which things does the text between the tags speak of, and what does it say of one to another? "
    'Answer with one JSON object alone: {"entities": [["name", "kind"], …], '
    '"relations": [["subject", "type", "object"], …]}. Names are short and as the text has them, '
    "in the singular; a type is one to three words, such as broader, part of, made by; “broader” "
    "goes from a thing to what it is a kind of. Leave out what the text does not say; empty lists "
    "are a good answer."
)
"""What the model is asked of every text."""

_LONGEST = 8_000  # characters of a text that are sent


class GraphExtractor(ABC):
    """Sends every text by itself, fenced, with the same prompt.

    Args:
        name: What to call the model.
        provider: Whose model it is; with the name, the prompt and the types it makes the
            fingerprint.
        types: If given, the model is told to use these types of relations, and others are dropped.
        prompt: What the model is asked.
        concurrency: Texts that are asked about at once.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        name: str,
        provider: str,
        *,
        types: Sequence[str] = (),
        prompt: str = PROMPT,
        concurrency: int = 4,
    ) -> None:
        if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, not {concurrency!r}")
        if isinstance(types, str):
            raise ValueError(f"types must be a list, for example [{types!r}]")
        if not name or not prompt.strip():
            raise ValueError("an extractor needs a name and a prompt")
        self.name = name
        self.batch_size = concurrency
        self._provider = provider
        self._types = tuple(types)
        only = f" Use no other types than: {', '.join(types)}." if types else ""
        self._prompt = f"{prompt}{only} {RULES}"

    @property
    def fingerprint(self) -> str:
        """Hex digest that differs between extractors that may find other things."""
        parts = (self._provider, self.name, self._prompt)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @abstractmethod
    def ask(self, prompt: str) -> str:
        """The model's answer to a message; called in several threads.

        Whatever it raises is the text's.
        """

    def extract(self, texts: Sequence[str]) -> list[Extracted | GraphError]:
        """What the model finds in each text, in order, or why there is nothing to be had."""
        pool = ThreadPoolExecutor(self.batch_size, "unisem-extract")
        try:
            jobs = [pool.submit(self._asked, text) for text in texts]
            return [_outcome(settled(job)) for job in jobs]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # nobody waits for a call to end

    def _asked(self, text: str) -> Extracted:
        found = Extracted.of(self.ask(f"{self._prompt}\n\n{result(text[:_LONGEST])}"))
        if not self._types:
            return found
        kept = tuple(one for one in found.relations if one[1] in self._types)
        return Extracted(found.entities, kept)


def _outcome(job: Future[Extracted]) -> Extracted | GraphError:
    error = job.exception()
    if error is None:
        return job.result()
    if isinstance(error, GraphError):
        return error
    said = in_short(error) if isinstance(error, Exception) else repr(error)
    failure = GraphError(f"the model failed: {said}")
    failure.__cause__ = error
    return failure
