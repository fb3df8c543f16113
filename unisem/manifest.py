"""`Manifest`: the small file that says what a space is: its encoder and its kind of store."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisem._version import __version__
from unisem.common.atomic_files import publish
from unisem.common.owned import check_owned
from unisem.encoders.options import EncoderOptions
from unisem.errors import CorruptStoreError, EncoderMismatchError, StoreError
from unisem.stores.kind import Place, StoreKind
from unisem.stores.registry import DEFAULT, kind_at, kind_named, kind_of

if TYPE_CHECKING:
    from unisem.encoders import Encoder

_FILE = "manifest.json"
FORMAT = 1
_LARGEST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of ``manifest.json``.

    Attributes:
        encoder: The encoder's name: ``mini``, a directory, or a hub id.
        fingerprint: The encoder's fingerprint; decides whether vectors may be compared.
        store: The kind of store that keeps the records.
        format: Layout of the space's directory.
        unisem: Version that created the space.
        pruned: The folders whose records go with their files, as `ImageLibrary.locate` names them.
        options: How the encoder was asked to embed; attention is a machine's, and is not kept.
    """

    encoder: str
    fingerprint: str
    store: str = DEFAULT
    format: int = FORMAT
    unisem: str = __version__
    pruned: tuple[str, ...] = ()
    options: EncoderOptions = field(default_factory=EncoderOptions)

    @classmethod
    def read(cls, place: Place) -> Manifest | None:
        """Read a space's manifest, or return ``None`` if there is no space here yet.

        Raises:
            NotADirectoryError: There is a file of that name.
            CorruptStoreError: It cannot be read, is of a newer format, there are links in place of
                files, or a folder full of other things.
            StoreError: There is no kind of store of a URI's scheme.
        """
        if isinstance(place, str):
            text = kind_named(kind_of(place))().read_manifest(place)
            return None if text is None else cls._parsed(text, place)
        if place.exists() and not place.is_dir():
            raise NotADirectoryError(f"{place} is a file, not a space")
        check_owned(place)
        path = place / _FILE
        if not path.exists():
            _check_new(place)
            return None
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST)
        except OSError as error:
            raise CorruptStoreError(f"{path} cannot be read ({error})") from error
        return cls._parsed(text, str(path))

    @classmethod
    def existing(cls, place: Place) -> Manifest:
        """The manifest of a space that must be there.

        Raises:
            StoreError: There is none; says what there is instead, and how to make one.
            CorruptStoreError: As `read`.
        """
        if isinstance(place, Path) and _is_of_other_things(place):
            beside = place.parent / f"{place.name or place.absolute().name}.unisem"
            if (beside / _FILE).is_file():
                raise StoreError(f"no space at {place}, which is a folder; do you mean {beside}?")
            raise StoreError(
                f"no space at {place}, which is a folder of files; make a space of them with "
                f"`unisem index {place} --into {beside}`"
            )
        if (manifest := cls.read(place)) is None:
            raise StoreError(
                f"no space at {place}; build one with `unisem index FOLDER --into {place}`"
            )
        return manifest

    @classmethod
    def _parsed(cls, text: bytes, name: str) -> Manifest:
        try:
            parts = json.loads(text)
            manifest = cls(
                **{**parts, "options": EncoderOptions.from_json(parts.get("options", {}))}
            )
        except (AttributeError, ValueError, TypeError, RecursionError) as error:
            raise CorruptStoreError(f"{name} cannot be read ({error})") from error
        texts: list[Any] = [manifest.encoder, manifest.fingerprint, manifest.store]
        pruned: Any = manifest.pruned
        if not isinstance(pruned, list | tuple) or not all(
            isinstance(it, str) for it in (*texts, *pruned)
        ):
            raise CorruptStoreError(
                f"{name} is damaged: encoder, fingerprint and store must be strings, and pruned a "
                "list of strings; restore it from a copy of the space"
            )
        manifest = replace(manifest, pruned=tuple(pruned))
        if manifest.format != FORMAT or type(manifest.format) is not int:
            raise CorruptStoreError(
                f"{name} has format {manifest.format!r}; this version of unisem reads format "
                f"{FORMAT}. Upgrade unisem"
            )
        return manifest

    def kind(self, place: Place, wanted: StoreKind | str | None = None) -> StoreKind:
        """What opens the store of the space.

        Args:
            place: The space, for the messages.
            wanted: The kind with settings, or its name; with the usual settings if ``None``.

        Raises:
            StoreError: The kind is not known here, or another is wanted.
        """
        name = wanted.name if isinstance(wanted, StoreKind) else wanted
        if name not in (None, self.store):
            raise StoreError(
                f"{place} keeps its records in a store of the kind {self.store!r}, not {name!r}. "
                "Open it as it is; to move it, export it and import it into a new space"
            )
        if isinstance(wanted, StoreKind):
            return wanted
        try:
            return kind_named(self.store)()
        except StoreError as error:
            raise StoreError(f"{place}: {error}") from error

    def check(self, encoder: Encoder, place: Place) -> None:
        """Refuse an encoder whose vectors cannot be compared with the space's.

        Raises:
            EncoderMismatchError: It is another than the one that built the space.
        """
        if self.fingerprint == encoder.fingerprint:
            return
        if differing := self.options.differing(encoder.options):
            raise EncoderMismatchError(
                f"{place} was built with the encoder {self.encoder!r} and "
                f"{self.options.in_words(differing)}, not with {encoder.name!r} and "
                f"{encoder.options.in_words(differing)}; their vectors cannot be compared. Leave "
                "the encoder out, and the space opens with its own, or build a new space"
            )
        if self.fingerprint == encoder.former_fingerprint:
            vectors = "renew-texts" if self.fingerprint == encoder.image_fingerprint else "renew"
            options = self.options.of_vectors
            raise EncoderMismatchError(
                f"{place} was embedded before inputs of {encoder.name!r} were prepared as they are "
                "now; vectors of then and of now cannot be compared. Embed it anew: "
                f"`unisem store export {place} DIR`, then `unisem store import DIR --into NEW "
                f"--encoder {encoder.name} --vectors {vectors}`"
                + (f", with {self.options.in_words(options)}" if options else "")
            )
        remedy = f"Open it with encoder={self.encoder!r}, or build a new space"
        if self.encoder == encoder.name:
            remedy = "The model of that name has changed since; build the space anew"
        raise EncoderMismatchError(
            f"{place} was built with the encoder {self.encoder!r} "
            f"({self.fingerprint[:12]}), not {encoder.name!r} "
            f"({encoder.fingerprint[:12]}); their vectors cannot be compared. {remedy}"
        )

    def write(self, place: Place) -> None:
        """Write the manifest, whole or not at all."""
        parts = asdict(self)
        if not self.pruned:
            del parts["pruned"]  # which earlier versions do not know
        parts["options"] = self.options.remembered
        if not parts["options"]:
            del parts["options"]  # likewise
        text = (json.dumps(parts, indent=2) + "\n").encode()
        if isinstance(place, str):
            kind_named(self.store)().write_manifest(place, text)
            return
        place.mkdir(parents=True, exist_ok=True)
        temporary = place / f".{_FILE}.{os.getpid()}"
        temporary.write_bytes(text)
        publish(temporary, place / _FILE)


def kind_for(
    manifest: Manifest | None, wanted: StoreKind | str | None, place: Place | None
) -> StoreKind:
    """What opens a space's store: the one that it has, or the one that is wanted for a new space.

    Raises:
        StoreError: The kind is not known here, or is not the space's.
        TypeError: A class, say, in place of a kind with its settings.
    """
    if isinstance(wanted, type):
        raise TypeError(f"store must be a name or a kind with its settings: {wanted.__name__}()")
    if place is not None and manifest is not None:
        return manifest.kind(place, wanted)
    kind = kind_of(place) if wanted is None else wanted
    return kind_named(kind)() if isinstance(kind, str) else kind


def _check_new(directory: Path) -> None:
    """Whether a space may be made in a directory without a manifest."""
    if not directory.is_dir() or not any(directory.iterdir()):
        return
    kind = kind_at(directory)
    if kind is not None and kind.is_untouched(directory):
        return  # the making of a space was interrupted, or is still going on
    if kind is not None:
        raise CorruptStoreError(
            f"{directory / _FILE} is missing; restore it from a copy of the space"
        )
    if _is_of_other_things(directory):
        raise CorruptStoreError(
            f"{directory} is a folder of other things, not a space; name a new directory, "
            "for example photos.unisem"
        )


def _is_of_other_things(directory: Path) -> bool:
    """Whether a directory holds files, and none of a space."""
    return (
        directory.is_dir()
        and not (directory / _FILE).exists()
        and kind_at(directory) is None
        and any(not path.name.startswith(".") for path in directory.iterdir())
    )
