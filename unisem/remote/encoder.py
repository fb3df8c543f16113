"""`RemoteEncoder`: a space's encoder, which runs where the space is."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from unisem.encoders.base import Encoder, Progress, Role, check_pairs, texts_as_list
from unisem.encoders.options import EncoderOptions
from unisem.errors import ImageError, ServiceError
from unisem.images.decoding import decode_image
from unisem.images.reference import ImageRef, ImageSource, sources_as_list
from unisem.records import Vector
from unisem.remote.space import RemoteSpace
from unisem.wire.pictures import data_uri
from unisem.wire.store import Embedded, Images, Pairs, Texts, WholeAnswer, WholeRequest

_KEPT = "unisem bytes"
_PROBE = 224  # pixels a side that a picture is decoded to here, to its end
_CERTAIN = 64  # characters that every encoder reads


class RemoteEncoder(Encoder):
    """Sends texts and pictures, and gets the vectors that the space's own encoder makes of them.

    Pictures are sent as they are, so that their vectors are those of the file to the last bit.

    Args:
        space: The space.
    """

    def __init__(self, space: RemoteSpace) -> None:
        self._space = space

    def __repr__(self) -> str:
        return f"RemoteEncoder({self.name!r}, {self._space.place!r})"

    @property
    def name(self) -> str:
        return self._space.info.encoder

    @property
    def fingerprint(self) -> str:
        return self._space.info.fingerprint

    @property
    def image_fingerprint(self) -> str:
        return self._space.info.image_fingerprint

    @property
    def model_fingerprint(self) -> str:
        return self._space.info.model_fingerprint or self.fingerprint

    @property
    def options(self) -> EncoderOptions:
        """See `Encoder`.

        Raises:
            ServiceError: The service tells options that this version does not know.
        """
        try:
            return EncoderOptions.from_json(self._space.info.options)
        except ValueError as error:
            raise ServiceError(
                f"{self._space.place} tells options of its encoder that this version of unisem "
                f"does not know: {error}; upgrade unisem here"
            ) from error

    @property
    def dimension(self) -> int:
        return self._space.info.dimension

    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        """See `Encoder`; the service decides how many go together."""
        del batch_size
        texts = texts_as_list(texts, role)
        rows: list[Vector] = []
        for some in self._space.fitting([len(text.encode()) for text in texts], self._inputs):
            body = Texts(texts=texts[some], role=role)
            rows.append(self._space.ask(Embedded, "/store/embed", body).vectors.to_core())
            if progress is not None:
                progress(len(body.texts))
        return self._stacked(rows)

    def encode_images(
        self,
        images: Sequence[ImageSource],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        """See `Encoder`; the service decides how many go together."""
        del batch_size
        named = []
        for source in sources_as_list(images):
            ref = ImageRef.of(source)
            named.append((data_uri(self._space.read_picture(ref), ref.name), ref.name))
        return self._embedded(named, progress)

    @property
    def fuses(self) -> bool:
        return self._space.info.fuses

    def encode_pairs(
        self,
        texts: Sequence[str],
        images: Sequence[ImageSource],
        role: Role = "document",
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        """See `Encoder`; the service decides how many go together."""
        del batch_size
        texts, sources = texts_as_list(texts, role), sources_as_list(images)
        if not self.fuses:
            return super().encode_pairs(texts, sources, role)
        check_pairs(texts, sources)
        refs = [ImageRef.of(source) for source in sources]
        named = [(data_uri(self._space.read_picture(ref), ref.name), ref.name) for ref in refs]
        return self._joined(texts, named, role, progress)

    def encode_prepared_pairs(
        self, texts: Sequence[str], images: Sequence[Image.Image], role: Role = "document"
    ) -> Vector:
        named = [(data_uri(_bytes_of(image)), "picture") for image in images]
        return self._joined(texts_as_list(texts, role), named, role)

    def _joined(
        self,
        texts: Sequence[str],
        named: Sequence[tuple[str, str]],
        role: Role,
        progress: Progress | None = None,
    ) -> Vector:
        rows: list[Vector] = []
        sizes = [len(uri) + len(text) for (uri, _), text in zip(named, texts, strict=True)]
        for some in self._space.fitting(sizes, self._space.limits.images):
            uris = [uri for uri, _ in named[some]]
            body = Pairs(texts=list(texts[some]), images=uris, role=role)
            try:
                rows.append(self._space.ask(Embedded, "/store/embed", body).vectors.to_core())
            except ImageError as error:
                if len(uris) == 1:
                    raise error.named(named[some][0][1]) from error
                pairs = zip(texts[some], named[some], strict=True)  # to say which it is
                rows += [self._joined([text], [one], role) for text, one in pairs]
            if progress is not None:
                progress(len(uris))
        return self._stacked(rows)

    def prepare_image(self, image: ImageSource) -> Image.Image:
        """Decode one picture, small, to see that it can be; its bytes go with it.

        Raises:
            ImageError: The picture cannot be used, or is more than the service takes.
        """
        ref = ImageRef.of(image)
        data = self._space.read_picture(ref)
        opened = decode_image(data, ref.name, min_side=_PROBE)
        opened.info[_KEPT] = data
        return opened

    def encode_prepared(self, images: Sequence[Image.Image]) -> Vector:
        return self._embedded([(data_uri(_bytes_of(image)), "picture") for image in images])

    def reads_whole(self, text: str) -> bool:
        if len(text) <= _CERTAIN:
            return True
        return self._space.ask(WholeAnswer, "/store/whole", WholeRequest(texts=[text])).whole[0]

    def _embedded(
        self, named: Sequence[tuple[str, str]], progress: Progress | None = None
    ) -> Vector:
        """Vectors of pictures, each a data URI and what to call it."""
        rows: list[Vector] = []
        for some in self._space.fitting([len(uri) for uri, _ in named], self._space.limits.images):
            batch = named[some]
            try:
                rows.append(self._sent([uri for uri, _ in batch]))
            except ImageError as error:
                if len(batch) == 1:
                    raise error.named(batch[0][1]) from error
                rows += [self._embedded([one]) for one in batch]  # to say which it is
            if progress is not None:
                progress(len(batch))
        return self._stacked(rows)

    def _sent(self, uris: list[str]) -> Vector:
        body = Images(images=uris)
        return self._space.ask(Embedded, "/store/embed", body).vectors.to_core()

    @property
    def _inputs(self) -> int:
        return self._space.limits.inputs

    def _stacked(self, rows: Sequence[Vector]) -> Vector:
        if not rows:
            return np.empty((0, self.dimension), np.float32)
        return np.concatenate(rows)


def _bytes_of(image: Image.Image) -> bytes:
    """The file that a picture was decoded from; of another one, a file that is like it."""
    if isinstance(data := image.info.get(_KEPT), bytes):
        return data
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
