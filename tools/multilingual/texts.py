"""`Pair`: English with what somebody called the same in another language, and plain English.

What is learned from, and under which licence, is said in `docs/concepts/multilingual.md`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from tools.mini_training.sources import Sources

LANGUAGES = {  # as CLDR calls them: as Tatoeba does
    "zh": "cmn",
    "ja": "jpn",
    "de": "deu",
    "es": "spa",
    "fr": "fra",
    "ru": "rus",
    "ar": "ara",
    "hi": "hin",
}
WORDNETS = {"zh": "cow/wn-data-cmn", "ca": "mcr/wn-data-cat"}
PLACES = {"zh": "zh-CN"}  # what OpenStreetMap's translations are called, where it is another name
CONCRETE = {  # WordNet's lexicographer files of what can be seen
    "05": "animal",
    "06": "artifact",
    "08": "body",
    "13": "food",
    "17": "object",
    "18": "person",
    "19": "phenomenon",
    "20": "plant",
}
MOST = {"wordnet glosses": 3000, "phrases": 1800}
"""Of what there is more than enough, so many texts."""
_COLOURS = (
    *("red", "green", "blue", "yellow", "black", "white"),
    *("brown", "orange", "grey", "pink", "purple", "golden"),
)
_SIZES = ("small", "large", "old", "new", "wooden", "wet", "broken", "beautiful")
_DOING = ("sitting on", "standing next to", "lying under", "looking at", "walking past", "holding")
_WHERE = ("on a table", "in the water", "in the grass", "in the snow", "on a street", "in a room")
_HIRAGANA = {ord("ァ") + n: ord("ぁ") + n for n in range(ord("ヶ") - ord("ァ") + 1)}
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")


@dataclass(frozen=True, slots=True)
class Pair:
    """A text to learn.

    Attributes:
        text: In any language.
        english: What it says; whose vector of `mini`'s it is to have.
        language: Of ``text``.
        source: Where both are from.
    """

    text: str
    english: str
    language: str
    source: str


def all_pairs(sources: Sources) -> list[Pair]:
    """Everything that is learned from, in an order that does not change."""
    parts = (emoji, sentences, names_in_wordnets, places, glosses, phrases)
    seen: dict[tuple[str, str], Pair] = {}
    for part in parts:
        for pair in part(sources):
            seen.setdefault((pair.text, pair.english), pair)
    found = list(seen.values())
    return [*found, *in_hiragana(found)]


def in_hiragana(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """Japanese names with katakana, in hiragana, as children read them first."""
    for pair in pairs:
        plain = pair.text.translate(_HIRAGANA)
        if pair.language == "ja" and pair.source != "tatoeba" and plain != pair.text:
            yield replace(pair, text=plain, source=f"{pair.source}, hiragana")


def emoji(sources: Sources) -> Iterator[Pair]:
    """CLDR's names of emoji, and the same with their keywords."""
    trees = {}
    for language in ("en", *LANGUAGES):
        path = f"annotations/{language}/annotations.json"
        trees[language] = sources.json("cldr-annotations-full", path)["annotations"]["annotations"]
    for character, entry in trees["en"].items():
        if "tts" not in entry or _SKIN.search(character):
            continue
        name = entry["tts"][0]
        words = ", ".join([name, *entry.get("default", [])[:4]])
        for language, tree in trees.items():
            known = tree.get(character, {})
            if "tts" in known:
                yield Pair(known["tts"][0], name, language, "cldr")
                if character.isalpha() or ord(character[0]) < 0x2600:
                    continue  # signs: their keywords are no pictures
                listed = ", ".join([known["tts"][0], *known.get("default", [])[:4]])
                yield Pair(listed, words, language, "cldr keywords")


def sentences(sources: Sources) -> Iterator[Pair]:
    """Tatoeba's sentences with translations, a thousand a language."""
    for language, code in LANGUAGES.items():
        folder = f"data/tatoeba/v1/tatoeba.{code}-eng."
        theirs, ours = (
            sources.git_file("facebookresearch/LASER", folder + side).decode().splitlines()
            for side in (code, "eng")
        )
        for text, english in zip(theirs, ours, strict=True):
            yield Pair(text, english, language, "tatoeba")
            yield Pair(english, english, "en", "tatoeba")


def names_in_wordnets(sources: Sources, each: int = 3000) -> Iterator[Pair]:
    """What can be seen, by its name in open wordnets."""
    nouns = _nouns(sources)
    for language, file in WORDNETS.items():
        table = sources.git_file("omwn/omw-data", f"wns/{file}.tab").decode()
        names: dict[str, str] = {}
        for line in table.splitlines():
            synset, kind, *rest = line.split("\t")
            number = synset.partition("-")[0]
            if kind.endswith(":lemma") and synset.endswith("-n") and number in nouns:
                names.setdefault(number, re.sub(r"[+_]", " ", rest[-1]).strip())
        for number in random.Random(0).sample(sorted(names), min(each, len(names))):
            english = nouns[number][0]
            yield Pair(names[number], english, language, "wordnet")
            yield Pair(english, english, "en", "wordnet")


def places(sources: Sources) -> Iterator[Pair]:
    """What OpenStreetMap's editor calls things that are on a map."""
    tables = {}
    for language in ("en", *LANGUAGES):
        name = PLACES.get(language, language)
        content = sources.json(
            "@openstreetmap/id-tagging-schema", f"dist/translations/{name}.min.json"
        )
        tables[language] = content[name]["presets"]["presets"]
    for key, entry in tables["en"].items():
        english = re.sub(r"\s*[(/].*", "", entry.get("name", "")).strip()
        for language, table in tables.items():
            text = re.sub(r"\s*[(/（].*", "", table.get(key, {}).get("name", "")).strip()
            if text and english and (language == "en" or text != english):
                yield Pair(text, english, language, "openstreetmap")


def glosses(sources: Sources, each: int = 8000) -> Iterator[Pair]:
    """What WordNet says of things that can be seen, without examples."""
    nouns = _nouns(sources)
    for number in random.Random(1).sample(sorted(nouns), each):
        gloss = nouns[number][1].partition(";")[0][:120]
        text = f"{nouns[number][0]}: {gloss}" if int(number) % 2 else gloss
        yield Pair(text, text, "en", "wordnet glosses")


def phrases(sources: Sources, count: int = 4000) -> Iterator[Pair]:
    """Captions made of WordNet's nouns."""
    dice = random.Random(2)
    by_kind: dict[str, list[str]] = {}
    for name, _, kind in _nouns(sources).values():
        if name.islower() and len(name) < 16:
            by_kind.setdefault(kind, []).append(name)
    alive = by_kind["animal"] + by_kind["person"]
    things = by_kind["artifact"] + by_kind["food"] + by_kind["plant"]
    for _ in range(count):
        one, two = dice.choice(alive), dice.choice(things)
        text = dice.choice(
            [
                f"a {dice.choice(_COLOURS)} {two}",
                f"a {dice.choice(_SIZES)} {one} {dice.choice(_WHERE)}",
                f"two {dice.choice(_COLOURS)} {two}s {dice.choice(_WHERE)}",
                f"a {one} {dice.choice(_DOING)} a {two}",
                f"a photo of a {one}",
                f"a drawing of a {dice.choice(_COLOURS)} {two}",
            ]
        )
        yield Pair(text, text, "en", "phrases")


@cache
def _nouns(sources: Sources) -> dict[str, tuple[str, str, str]]:
    """Name, gloss and kind of the things that can be seen, by WordNet's number."""
    found = {}
    data = sources.debian_file("wordnet-base", "usr/share/wordnet/data.noun").decode()
    for line in data.splitlines():
        if line.startswith(" "):
            continue
        head, _, gloss = line.partition("|")
        number, kind, _, _, lemma, *_ = head.split(" ")
        if kind in CONCRETE:
            found[number] = (lemma.replace("_", " "), gloss.strip(), CONCRETE[kind])
    return found
