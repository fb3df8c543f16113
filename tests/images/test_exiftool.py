"""What files know, beside what exiftool says of them by the rules of the Metadata Working Group.

Needs exiftool (Debian's ``libimage-exiftool-perl``). With ``UNISEM_PHOTOS=FOLDER`` the pictures in
a folder are asked, too: those with exiftool's source, ``t/images``, are of 50 makers.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import encoded, noise
from unisem.images.facts.exif import camera_of
from unisem.images.facts.file_facts import BY_CAMERAS, FileFacts, facts_of
from unisem.images.facts.parts import moment
from unisem.readers.folder import PICTURES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed"),
]

FILES = 150
_WRITABLE = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "HEIF": "heic"}
_TEXTS = ["a harbour at night", "Größe – zehn", "甲虫 on a leaf", "O'Neill & Sons <b>", "x" * 300]
_ASKED = [
    *("-MWG:all", "-EXIF:Make", "-EXIF:Model", "-EXIF:LensModel", "-EXIF:CreateDate"),
    *("-EXIF:OffsetTimeOriginal", "-EXIF:OffsetTimeDigitized", "-EXIF:DateTimeOriginal"),
    *("-Composite:GPSLatitude", "-Composite:GPSLongitude", "-Composite:GPSAltitude"),
    *("-XMP-exif:DateTimeOriginal", "-XMP-xmp:CreateDate", "-XMP-tiff:Make", "-XMP-tiff:Model"),
    *("-XMP-exif:GPSLatitude", "-XMP-exif:GPSLongitude", "-XMP-dc:Title", "-IPTC:ObjectName"),
    *("-EXIF:XPTitle", "-EXIF:XPKeywords", "-EXIF:Rating", "-XMP-aux:Lens"),
    *("-XMP-exifEX:LensModel", "-XMP-dc:all", "-XMP-photoshop:DateCreated", "-XMP-xmp:Rating"),
]


def written(rng: random.Random, extension: str) -> list[str]:
    """Tags for one file, as exiftool's arguments."""
    day = f"20{rng.randrange(10, 25)}:0{rng.randrange(1, 10)}:1{rng.randrange(10)}"
    time = f"1{rng.randrange(10)}:{rng.randrange(10, 60)}:{rng.randrange(10, 60)}"
    pool = {
        "EXIF:Make": ["NIKON CORPORATION", "Apple", "SONY"],
        "EXIF:Model": ["NIKON D70", "iPhone 12", "ILCE-7M3"],
        "EXIF:LensModel": ["50mm f/1.8"],
        "EXIF:DateTimeOriginal": [f"{day} {time}"],
        "EXIF:OffsetTimeOriginal": ["+02:00", "-08:00"],
        "EXIF:CreateDate": [f"{day} {time}"],
        "EXIF:ImageDescription": _TEXTS,
        "EXIF:Artist": _TEXTS[:2],
        "EXIF:Copyright": _TEXTS[:2],
        "EXIF:Orientation#": ["1", "3", "6", "8"],
        "XMP-dc:Title": _TEXTS,
        "XMP-dc:Description": _TEXTS,
        "XMP-dc:Creator": _TEXTS[:2],
        "XMP-dc:Rights": _TEXTS[:2],
        "XMP-dc:Subject": ["sea", "boat"],
        "XMP-xmp:Rating": ["0", "3", "5"],
        "XMP-photoshop:DateCreated": [f"{day} {time}+01:00", day],
    }
    if extension in ("jpg", "tif"):
        pool |= {
            "IPTC:ObjectName": _TEXTS[:1],
            "IPTC:Caption-Abstract": _TEXTS[:2],
            "IPTC:Keywords": ["alpha", "beta"],
            "IPTC:By-line": ["Ann"],
            "IPTC:DateCreated": [day],
            "IPTC:TimeCreated": [f"{time}+03:00"],
        }
    tags = [f"-{tag}={rng.choice(values)}" for tag, values in pool.items() if rng.random() < 0.45]
    if any(tag.startswith("-IPTC") for tag in tags):
        tags.append("-IPTC:CodedCharacterSet=UTF8")
        tags += rng.choice(
            [[], ["-Photoshop:IPTCDigest=new"], ["-Photoshop:IPTCDigest=" + "0" * 32]]
        )
    if rng.random() < 0.5:
        place = rng.uniform(-80, 80), rng.uniform(-170, 170), rng.uniform(-100, 4000)
        for name, value in zip(("Latitude", "Longitude", "Altitude"), place, strict=True):
            tags += [f"-EXIF:GPS{name}={abs(value):.6f}"]
        tags += [f"-EXIF:GPSLatitudeRef={'NS'[place[0] < 0]}"]
        tags += [f"-EXIF:GPSLongitudeRef={'EW'[place[1] < 0]}"]
        tags += [f"-EXIF:GPSAltitudeRef#={int(place[2] < 0)}"]
    return tags


def made(folder: Path) -> list[Path]:
    """Files into which exiftool has written what it likes."""
    rng = random.Random(3)
    formats = dict(_WRITABLE)
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        del formats["HEIF"]
    arguments: list[str] = []
    files: list[Path] = []
    for number in range(FILES):
        format = list(formats)[number % len(formats)]
        file = folder / f"{number:03}.{formats[format]}"
        file.write_bytes(encoded(noise(number, (16, 12)), format))
        files.append(file)
        tags = written(rng, formats[format])
        arguments += ["-overwrite_original", "-charset", "UTF8", *tags, str(file), "-execute"]
    subprocess.run(
        ["exiftool", "-@", "-"], input="\n".join(arguments), text=True, check=False, timeout=300
    )
    return files


def expected(row: dict[str, Any]) -> dict[str, Any]:
    """Exiftool's answer in our terms.

    Of IPTC that was changed behind XMP's back exiftool believes that it lacks nothing;
    here XMP fills it.
    """

    def first(*names: str) -> Any:
        return next((row[name] for name in names if str(row.get(name, "")).strip()), None)

    taken = moment(
        str(first("Composite:DateTimeOriginal", "XMP:DateCreated") or ""),
        row.get("EXIF:OffsetTimeOriginal", ""),
    )
    if taken is None:
        zone = row.get("EXIF:OffsetTimeDigitized", "")
        taken = moment(str(first("EXIF:CreateDate") or ""), zone)
    keywords = first("Composite:Keywords", "XMP:Subject") or ()
    description = str(first("Composite:Description", "XMP:Description") or "")
    creator = first("Composite:Creator", "XMP:Creator")
    return {
        "taken": taken,
        "camera": camera_of(str(first("EXIF:Make") or ""), str(first("EXIF:Model") or "")) or None,
        "lens": first("EXIF:LensModel", "XMP:LensModel", "XMP:Lens"),
        "latitude": first("Composite:GPSLatitude"),
        "longitude": first("Composite:GPSLongitude"),
        "altitude": first("Composite:GPSAltitude"),
        "rating": first("Composite:Rating", "XMP:Rating", "EXIF:Rating"),
        "keywords": tuple(map(str, [keywords] if isinstance(keywords, str | int) else keywords)),
        "title": first("XMP:Title", "IPTC:ObjectName", "EXIF:XPTitle"),
        "description": None if BY_CAMERAS.fullmatch(description.strip()) else description,
        "creator": "; ".join(creator) if isinstance(creator, list) else creator,
        "copyright": first("Composite:Copyright", "XMP:Rights"),
    }


def disagreements(files: list[Path]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """For each file what we say and exiftool says, where that is not the same."""
    asked = ["exiftool", "-use", "MWG", "-j", "-n", "-G0", "-charset", "IPTC=UTF8", *_ASKED]
    answer = subprocess.run(
        [*asked, *map(str, files)], capture_output=True, check=False, timeout=300
    )
    found: dict[str, dict[str, tuple[Any, Any]]] = {}
    for row in json.loads(answer.stdout):
        path = Path(row["SourceFile"])
        ours: FileFacts = facts_of(path.read_bytes())
        wrong = {}
        for name, theirs in expected(row).items():
            mine = getattr(ours, name)
            if isinstance(theirs, str):
                theirs = theirs.strip()
            if isinstance(theirs, float) or (isinstance(theirs, int) and isinstance(mine, float)):
                is_same = mine is not None and mine == pytest.approx(theirs, abs=0.006)
            else:
                is_same = mine == theirs or (not mine and not theirs)
            if not is_same:
                wrong[name] = (mine, theirs)
        if wrong:
            found[path.name] = wrong
    return found


def test_files_know_what_exiftool_says(tmp_path: Path) -> None:
    files = made(tmp_path)
    assert len(files) >= 100
    assert disagreements(files) == {}


def test_pictures_of_many_makers_know_what_exiftool_says() -> None:
    folder = os.environ.get("UNISEM_PHOTOS")
    if not folder:
        pytest.skip("UNISEM_PHOTOS names no folder")
    kinds = PICTURES - {".gif"}  # whose XMP is not read
    files = [it for it in sorted(Path(folder).iterdir()) if it.suffix.lower() in kinds]
    assert disagreements(files) == {}
