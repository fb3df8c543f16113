"""`LocalModel`: a model's directory, of which the weights are loaded at the first use."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

from unisem.common.forks import Carried, Mutex, keep_for_ever, one_thread


class LocalModel(Carried):
    """What encoders and rerankers have in common that sentence-transformers runs.

    Threads may share one, and a forked process loads anew what was on an accelerator.

    Args:
        name: What to call the model.
        directory: Its files, weights as safetensors.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best one present if ``None``.
        dtype: Name of the floating type to compute in.

    Attributes:
        directory: The model's files.

    Raises:
        ValueError: There is no such floating type.
    """

    def __init__(self, name: str, directory: Path, *, device: str | None, dtype: str) -> None:
        if dtype not in ("float32", "float16", "bfloat16"):
            raise ValueError(f"dtype must be float32, float16 or bfloat16, not {dtype!r}")
        self.directory = directory
        self._name = name
        self._device = device
        self._dtype = dtype
        self._lock = Mutex()  # tokenizers cannot be shared between running calls
        self._model: Any = None
        self.follow_forks()

    def begin_anew(self) -> None:
        """In a forked child the model computes in one thread; one on an accelerator is lost."""
        one_thread("torch")
        if self._model is not None and self._model.device.type != "cpu":
            keep_for_ever(self._model)
            self._model = None  # the next use says what torch says of it

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @property
    def name(self) -> str:
        """What a person calls the model: the directory or hub id that was named."""
        return self._name

    @property
    def model(self) -> Any:
        """The loaded model of sentence-transformers, in evaluation mode.

        Raises:
            UniSemError: The files do not load.
        """
        if self._model is None:
            with self._lock:
                if self._model is None:  # no other thread was faster
                    self._model = self._load()
        return self._model

    @abstractmethod
    def _load(self) -> Any:
        """Load the model; one thread at a time does."""
