"""Text to picture in other languages than English, and captions to their translations.

    python -m benchmarks.languages [--encoder mini-multilingual] [--packages DIR] [--captions DIR]

People's own translations, none of which was trained on: the captions of Tux Paint's photographed
stamps, on white, and the words that GCompris teaches, for its drawings and for those of its
photographs that are called by one of these words. Each language is compared with what `mini` makes
of the English of the same pictures; candidates are all pictures of the set, by their pixels. Then a
caption is asked in a language and its English looked for among all of them: Tux Paint's captions,
and with ``--captions`` the first 300 of XTD10, everyday captions of photographs in a clone of
https://github.com/adobe-research/Cross-lingual-Test-Dataset-XTD10 (for research only; nothing of it
is in this repository).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.captioned import CaptionedPictures
from benchmarks.gcompris import GAMES, read_drawings, read_photographs
from benchmarks.natural_pictures import unpacked
from benchmarks.qt_resources import read_resources
from benchmarks.retrieval import figure
from benchmarks.tux_paint import SIDE, STAMPS, placed, read_stamps
from unisem import Encoder, load_encoder
from unisem.evaluation import Ranking
from unisem.records import Vector

LANGUAGES = {  # whose sentences or names were trained on: as both programs call them
    "zh": "zh_CN",
    "ja": "ja",
    "de": "de",
    "es": "es",
    "fr": "fr",
    "ru": "ru",
    "ar": "ar",
    "hi": "hi",
}
OTHERS = {"it": "it", "ko": "ko", "pl": "pl", "tr": "tr"}  # of which nothing was trained on
XTD10 = "XTD10/test_1kcaptions_{}.txt"
_ELSEWHERE = {
    "de": "MIC/test_1kcaptions_de.txt",
    "fr": "MIC/test_1kcaptions_fr.txt",
    "ja": "STAIR/test_1kcaptions_jp.txt",
}
_CAPTIONS = 300

Translations = Mapping[str, Mapping[str, str]]
"""By language, what an English caption is called."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A set of pictures with captions in many languages.

    Attributes:
        name: What the set is called.
        pictures: With their English captions.
        translations: By language those that somebody translated.
    """

    name: str
    pictures: CaptionedPictures
    translations: Translations

    @property
    def known(self) -> Translations:
        """Translations of these pictures' captions alone."""
        wanted = set(self.pictures.captions)
        return {
            language: {caption: text for caption, text in texts.items() if caption in wanted}
            for language, texts in self.translations.items()
        }


def main() -> None:
    """Encode, rank, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="mini-multilingual")
    parser.add_argument("--packages", type=Path, help="a folder with the .deb files in it")
    parser.add_argument("--captions", type=Path, help="a clone of XTD10")
    options = parser.parse_args()
    encoder, english = load_encoder(options.encoder), load_encoder("mini")
    pictures = Table("pictures", "language", "queries", "hit@1", "hit@10", "of mini's English")
    captions = Table("captions", "language", "queries", "hit@1", "hit@10")
    with unpacked(options.packages) as folder:
        shown = read_sets(folder)
    for one in shown:
        add_pictures(pictures, encoder, english, one)
    add_captions(captions, encoder, "Tux Paint", shown[0].known)
    if options.captions:
        add_captions(captions, encoder, "XTD10", read_xtd10(options.captions))
    console = Console()
    console.print(f"encoder {encoder.name} ({encoder.fingerprint[:12]}), 95 % intervals")
    console.print(pictures)
    console.print(captions)


def read_sets(folder: Path) -> list[Shown]:
    """What is measured on pictures, from the unpacked packages."""
    white = Image.new("RGB", (SIDE, SIDE), "white")
    stamps = read_stamps(folder / STAMPS)
    on_white = [placed(picture, white) for picture in stamps.pictures]
    stamps = CaptionedPictures(stamps.captions, on_white, stamps.relevant)
    words = read_words(folder / GAMES / "rcc" / "lang.rcc")
    return [
        Shown("cut-out photographs", stamps, read_stamp_translations(folder / STAMPS)),
        Shown("drawings", read_drawings(folder / GAMES), words),
        Shown("whole photographs", read_photographs(folder / GAMES), words),
    ]


def read_stamp_translations(folder: Path) -> Translations:
    """What Tux Paint's translators made of the captions: ``ar.utf8=…``, a line a language."""
    found: dict[str, dict[str, str]] = {}
    codes = {code: language for language, code in (LANGUAGES | OTHERS).items()}
    for path in sorted(folder.rglob("*.txt")):
        caption, *lines = path.read_text("utf-8", errors="replace").split("\n")
        for line in lines:
            code, _, text = line.partition(".utf8=")
            if code in codes and text.strip():
                found.setdefault(codes[code], {}).setdefault(caption.strip(), text.strip())
    return found


def read_words(path: Path) -> Translations:
    """The words that a game of GCompris teaches; its pictures are called by the English ones."""
    contents = {
        name.rpartition("/content-")[2].removesuffix(".json"): json.loads(content)
        for name, content in read_resources(path)
        if "/content-" in name
    }
    return {
        language: {
            file.removesuffix(".ogg").replace("_", " "): text
            for file, text in contents[code].items()
            if text
        }
        for language, code in (LANGUAGES | OTHERS).items()
        if code in contents
    }


def read_xtd10(folder: Path) -> Translations:
    """Everyday captions of photographs: by language, by the English ones."""
    lines = (folder / XTD10.format("en")).read_text("utf-8").splitlines()[:_CAPTIONS]
    found = {}
    for language in (*LANGUAGES, *OTHERS):
        path = folder / _ELSEWHERE.get(language, XTD10.format(language))
        if path.exists():
            texts = path.read_text("utf-8").splitlines()[:_CAPTIONS]
            found[language] = dict(zip(lines, texts, strict=True))
    return found


def add_pictures(table: Table, encoder: Encoder, mini: Encoder, shown: Shown) -> None:
    """Text to picture in English and in each language."""
    captions, relevant = shown.pictures.captions, shown.pictures.relevant
    images = encoder.encode_images(shown.pictures.pictures)
    by_mini = ranked(mini, captions, images, relevant)
    add_row(table, [shown.name, "en, mini"], by_mini, [""])
    add_row(table, ["", "en"], ranked(encoder, captions, images, relevant), [""])
    for language in (*LANGUAGES, *OTHERS):
        known = shown.translations.get(language, {})
        rows = [row for row, caption in enumerate(captions) if caption in known]
        if not rows:
            continue
        wanted = [relevant[row] for row in rows]
        theirs = ranked(encoder, [known[captions[row]] for row in rows], images, wanted)
        same = Ranking(tuple(by_mini.ranks[row] for row in rows))
        share = theirs.hit(10).mean() / same.hit(10).mean()
        add_row(table, ["", language], theirs, [f"{share:.2f}"])


def add_captions(table: Table, encoder: Encoder, name: str, translations: Translations) -> None:
    """A caption in a language to the same caption in English."""
    english = sorted(set().union(*translations.values()))
    candidates = encoder.encode_texts(english)
    for language, known in translations.items():
        asked = [(row, known[caption]) for row, caption in enumerate(english) if caption in known]
        if language in LANGUAGES:
            texts, relevant = [text for _, text in asked], [[row] for row, _ in asked]
            add_row(table, [name, language], ranked(encoder, texts, candidates, relevant), [])


def ranked(
    encoder: Encoder, texts: list[str], candidates: Vector, relevant: list[list[int]]
) -> Ranking:
    """The candidates' order for each text."""
    queries = encoder.encode_texts(texts, role="query").astype(np.float64)
    return Ranking.of(queries @ candidates.astype(np.float64).T, relevant)


def add_row(table: Table, head: list[str], ranking: Ranking, rest: list[str]) -> None:
    """Add one line."""
    hits = [figure(ranking.hit(1)), figure(ranking.hit(10))]
    table.add_row(*head, str(len(ranking.ranks)), *hits, *rest)


if __name__ == "__main__":
    main()
