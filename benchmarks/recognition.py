"""How well words in pictures are read, and found: drawn pictures whose words are known.

    apt-get download debian-handbook fonts-dejavu-core fonts-liberation fonts-wqy-zenhei \
        fonts-noto-cjk
    for package in *.deb; do dpkg-deb -x "$package" words; done
    pip install rapidfuzz
    OMP_NUM_THREADS=1 python -m benchmarks.recognition words [--each 16] [--samples DIR]

Sentences are the Debian handbook's, in English and in Chinese, drawn as screenshots, terminals and
slides. An error is a letter that is to be put in, taken out or changed, all lines of a picture in
the order in which they are read; compatible letters count as one (NFKC), and so does white space
beside a Chinese letter and none. Asked for are a few words that stand in one picture only.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.table import Table

from benchmarks.rendered_words import KINDS, LANGUAGES, Drawn, drawn, noises, plain
from unisem import SemanticSpace
from unisem.readers.documents.recognized_lines import reading_lines
from unisem.recognition import TextRecognizer, load_recognizer

_NOISY = 2  # of every so many pictures one is spoilt
_DRAWS = 2_000  # of the bootstrap


def main() -> None:
    """Draw, read, ask, and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="what the packages were unpacked to")
    parser.add_argument("--each", type=int, default=16, help="pictures of a kind and a language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=Path, help="where to keep the pictures")
    options = parser.parse_args()
    handbook = options.folder / "usr/share/doc/debian-handbook/html"
    fonts = options.folder / "usr/share/fonts"
    pictures = list(drawn(handbook, fonts, options.each, options.seed))
    console = Console(width=110)
    console.print(_errors(pictures, load_recognizer("ppocr-v5"), options.samples))
    console.print(_finding(pictures, options.seed))


def _errors(pictures: Sequence[Drawn], recognizer: TextRecognizer, samples: Path | None) -> Table:
    counts: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    seconds = []
    for place, one in enumerate(pictures):
        variants = {"clean": one.picture}
        if place % _NOISY == 0:
            variants |= {name: spoil(one.picture) for name, spoil in noises().items()}
        for noise, picture in variants.items():
            if samples is not None:
                samples.mkdir(parents=True, exist_ok=True)
                picture.save(samples / f"{one.name}-{noise.replace(' ', '-')}.png")
            started = time.process_time()
            read = reading_lines(recognizer.read(picture))
            seconds.append(time.process_time() - started)
            truth = plain(" ".join(one.lines))
            wrong = Levenshtein.distance(plain(" ".join(line.text for line in read)), truth)
            counts[noise, one.kind, one.language].append((wrong, len(truth)))
    table = Table("", *(f"{kind} {it}" for it in LANGUAGES for kind in KINDS), "all", "pictures")
    for noise in ("clean", *noises()):
        rows = {key[1:]: found for key, found in counts.items() if key[0] == noise}
        cells = [_share(rows.get((kind, it), [])) for it in LANGUAGES for kind in KINDS]
        every = [one for found in rows.values() for one in found]
        table.add_row(noise, *cells, _share(every, interval=True), str(len(every)))
    noisy = [one for key, found in counts.items() if key[0] != "clean" for one in found]
    table.add_row("noisy", *[""] * 6, _share(noisy, interval=True), str(len(noisy)))
    table.caption = (
        f"CPU seconds a picture: median {np.median(seconds):.2f}, most {max(seconds):.2f}"
    )
    return table


def _share(counts: Sequence[tuple[int, int]], *, interval: bool = False) -> str:
    """Errors per letter, with its 95 % interval over pictures."""
    if not counts:
        return ""
    wrong, letters = np.array(counts, float).T
    share = f"{100 * wrong.sum() / letters.sum():.2f} %"
    if not interval:
        return share
    draws = np.random.default_rng(0).integers(0, len(counts), (_DRAWS, len(counts)))
    low, high = np.percentile(wrong[draws].sum(1) / letters[draws].sum(1), [2.5, 97.5])
    return f"{share} ({100 * low:.2f} to {100 * high:.2f})"


def _finding(pictures: Sequence[Drawn], seed: int) -> Table:
    """hit@5 of a few words, with the words read and without."""
    asked = _queries(pictures, random.Random(seed))
    table = Table("", "mode", *(f"hit@1 {it}" for it in LANGUAGES),
                  *(f"hit@5 {it}" for it in LANGUAGES), "queries")  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        for one in pictures:
            one.picture.save(folder / f"{one.name}.png")
        for label, recognizer in (("without", None), ("words read", "ppocr-v5")):
            with SemanticSpace.open(Path(place) / f"{label}.unisem") as space:
                space.add_folder(folder, recognizer=recognizer)
                for mode in ("vector", "keyword", "hybrid"):
                    ranks = defaultdict(list)
                    for name, language, text in asked:
                        hits = space.search(text, k=5, mode=mode)  # type: ignore[arg-type]
                        ids = [hit.record.id for hit in hits]
                        wanted = f"pictures/{name}.png"
                        ranks[language].append(ids.index(wanted) if wanted in ids else 99)
                    cells = [
                        f"{np.mean([rank < most for rank in ranks[it]]):.3f}"
                        for most in (1, 5)
                        for it in LANGUAGES
                    ]
                    table.add_row(label, mode, *cells, str(len(asked)))
    return table


def _queries(pictures: Sequence[Drawn], choice: random.Random) -> list[tuple[str, str, str]]:
    """Of each picture its name, its language, and a piece of a line that no other picture has."""
    whole = {one.name: plain(" ".join(one.lines)) for one in pictures}
    found = []
    for one in pictures:
        pieces = []
        for line in map(plain, one.lines):
            if one.language == "en":
                words = line.split()
                pieces += [" ".join(words[n : n + 4]) for n in range(len(words) - 3)]
            else:
                pieces += [line[n : n + 8] for n in range(len(line) - 7)]
        own = [it for it in pieces if sum(it in text for text in whole.values()) == 1]
        if own:
            found.append((one.name, one.language, choice.choice(own)))
    return found


if __name__ == "__main__":
    main()
