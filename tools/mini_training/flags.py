"""`flags`: flags of countries and of some of their parts, drawn by others than Open Clip Art's.

One in six captions of Open Clip Art is a flag's, and which flag is whose cannot be guessed from
other drawings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.mini_training import captions
from tools.mini_training.pictures import Drawing, digest_of, drawn, on_white, svg_icons
from tools.mini_training.sources import Sources

DRAWN = "region-flags"  # pictures, with the names of states and provinces
ICONS = "@iconify-json/flag"
_WORLD = "001"


def flags(sources: Sources) -> Iterator[Drawing]:
    """Flags from Wikipedia and from an icon set, by the names that CLDR and ISO 3166-2 give."""
    regions = Regions.read(sources)
    for code, data in sorted(sources.members(DRAWN, ".png").items()):
        if code in regions.names:
            yield _drawing(regions, code, data, digest_of(data))
    for name, svg in svg_icons(sources, ICONS):
        code, _, shape = name.upper().rpartition("-")
        if shape == "4X3" and code in regions.names:
            yield _drawing(regions, code, drawn(svg), digest_of(svg.encode()))


def _drawing(regions: Regions, code: str, data: bytes, digest: str) -> Drawing:
    name = regions.names[code]
    texts = captions.of_flag(name, regions.around(code) or ["world"])
    return Drawing(on_white(data), texts, f"flag {name}", "flag", digest)


@dataclass(frozen=True, slots=True)
class Regions:
    """Countries and their parts by code.

    Attributes:
        names: English names by ISO 3166 code: ``KE``, ``US-MD``.
        parents: The code of what each lies in: ``014`` for ``KE``.
    """

    names: dict[str, str]
    parents: dict[str, str]

    @classmethod
    def read(cls, sources: Sources) -> Regions:
        """Read CLDR's territories and the lists of states and provinces beside the flags."""
        tree = sources.json("cldr-localenames-full", "main/en/territories.json")
        names = dict(tree["main"]["en"]["localeDisplayNames"]["territories"])
        tree = sources.json("cldr-core", "supplemental/territoryContainment.json")
        parents: dict[str, str] = {}
        for parent, entry in tree["supplemental"]["territoryContainment"].items():
            if parent.isdigit():  # geography, and no unions of states
                for child in entry["_contains"]:
                    parents.setdefault(child, parent)
        for country in ("ca", "gb", "us"):
            table = sources.member(DRAWN, f"data/iso-3166-2-{country}.tsv").decode()
            for line in table.splitlines():
                fields = line.split("\t")
                if not line.startswith(";") and len(fields) > 2:
                    code = fields[1].strip("*")
                    names[code] = re.sub(r"\s*[\[(].*", "", fields[2])
                    parents[code] = country.upper()
        return cls(names, parents)

    def around(self, code: str) -> list[str]:
        """The names of what a region lies in, nearest first, without the world."""
        found = []
        while (code := self.parents.get(code, _WORLD)) != _WORLD:
            found.append(self.names[code])
        return found
