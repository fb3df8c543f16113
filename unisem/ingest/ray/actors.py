"""`RayActors`: batches of pictures and texts, embedded by actors of which any may die."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from unisem.common.interrupts import raise_if_interrupted
from unisem.encoders.base import Encoder
from unisem.errors import ClusterError, EncoderError, ImageError, UniSemError
from unisem.images.reference import ImageRef
from unisem.ingest.intake import Prepared, next_batch, next_size
from unisem.ingest.ray.embedding import EmbeddedParcel, Parcel, ParcelEmbedder
from unisem.records import Vector, VectorKind

if TYPE_CHECKING:
    from unisem.ingest.ray.ingestion import RayIngestion

_QUEUED = 2  # parcels that an actor has: one that it works on, and the next
_AHEAD = 8  # batches an actor that may wait for an earlier one
_TRIES = 3  # actors that a parcel may cost
_TURN = 0.5  # seconds
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Batch:
    """Records that are committed together.

    Attributes:
        items: What is known of each by now.
        missing: How many of its parcels are on their way.
    """

    items: list[Prepared]
    missing: int = 0


@dataclass(slots=True, eq=False)
class _Part:
    """What of a batch is in one parcel.

    Attributes:
        batch: The batch.
        texts: Positions in it of the parcel's texts.
        images: Likewise of its pictures.
        parcel: Ray's reference to it.
        tries: Actors that it has been lost with.
    """

    batch: _Batch
    texts: list[int]
    images: list[int]
    parcel: Any
    tries: int = 0

    @property
    def positions(self) -> list[int]:
        return sorted({*self.texts, *self.images})


@dataclass(slots=True, eq=False)
class _Actor:
    """One actor as it is seen from here.

    Attributes:
        handle: Ray's.
        is_ready: Whether its encoder is loaded.
        parts: What it has been sent.
    """

    handle: Any
    is_ready: bool = False
    parts: list[_Part] = field(default_factory=list)

    def may_have(self, part: _Part) -> bool:
        """Whether it is to be sent this: what was lost with an actor goes to one alone.

        Else nobody knew which of two it was that ended it.
        """
        if not self.is_ready:
            return False
        if part.tries or any(other.tries for other in self.parts):
            return not self.parts
        return len(self.parts) < _QUEUED


class RayActors:
    """Encoders in processes of a Ray cluster.

    Args:
        settings: Which cluster, and how much of it.
        load: Gives an actor its encoder.
        fingerprint: That the encoder must have.

    Attributes:
        fuses: Whether fused vectors are made there; ``True`` until an actor has said.
    """

    def __init__(
        self, settings: RayIngestion, load: Callable[[], Encoder], fingerprint: str
    ) -> None:
        self.fuses = True
        self._settings = settings
        self._load = load
        self._fingerprint = fingerprint

    def embedded(
        self, items: Iterator[Prepared], most: int
    ) -> Generator[list[Prepared], None, None]:
        """Yield batches in order, with vectors or with what is wrong with a picture.

        The cluster is used from the first record on that needs a vector.

        Args:
            items: What is to be embedded where it lacks a vector.
            most: Records of a batch; the first ones are smaller.

        Raises:
            ClusterError: There is no cluster, no actor for too long, or a text that ends actors.
            EncoderError: An actor has no such encoder, or it fails.
        """
        window: deque[_Batch] = deque()
        crew: _Crew | None = None
        has_more, idle = True, 1
        with ExitStack() as stack:
            while has_more or window:
                takes = has_more and (crew is None or crew.has_room(len(window)))
                size = idle if crew is None else max(idle, crew.size)
                if takes and (taken := next_batch(items, size)):
                    batch = _Batch(list(map(self._needed, taken)))
                    window.append(batch)
                    idle = min(2 * idle, most)  # after those that need nothing
                    if any(it.data is not None or _wants_text(it) for it in batch.items):
                        if crew is None:
                            crew = stack.enter_context(self._crew(most))
                        crew.take(batch)
                        idle = 1
                elif takes:
                    has_more = False
                if crew is not None:
                    crew.turn(0 if has_more and crew.has_room(len(window)) else _TURN)
                    self.fuses = crew.fuses
                while window and not window[0].missing:
                    yield window.popleft().items

    def _needed(self, item: Prepared) -> Prepared:
        """Without its picture if that was read for a fused vector before an actor had said no."""
        return item if self.fuses or item.wants_image else replace(item, data=None)

    @contextmanager
    def _crew(self, most: int) -> Iterator[_Crew]:
        with self._settings.connected() as ray:
            count = self._settings.room(ray.cluster_resources())
            crew = _Crew(ray, self._settings, self._load, self._fingerprint, count, most)
            try:
                yield crew
            except ray.exceptions.RayError as error:
                raise ClusterError(f"the Ray cluster has failed: {_line(error)}") from error
            finally:
                crew.end()


class _Crew:
    """The actors of one run, and what they are doing."""

    def __init__(
        self,
        ray: Any,
        settings: RayIngestion,
        load: Callable[[], Encoder],
        fingerprint: str,
        count: int,
        most: int,
    ) -> None:
        self._ray = ray
        self._settings = settings
        self._made_of = load, fingerprint
        self._most = most
        self.size = 1  # of the next batch
        self.fuses = True  # as of `RayActors`
        self._waiting: deque[_Part] = deque()
        self._running: dict[Any, tuple[_Part, _Actor]] = {}
        self._beginning: dict[Any, _Actor] = {}
        self._had_one = time.monotonic()  # an actor that was ready
        self._last_loss = "none has begun"
        self._actors = [self._new_actor() for _ in range(count)]

    def _new_actor(self) -> _Actor:
        settings = self._settings
        made = self._ray.remote(ParcelEmbedder).options(
            num_cpus=settings.cpus,
            num_gpus=settings.gpus,
            max_restarts=-1,
            # While a card embeds one parcel, its actor decodes the next.
            max_concurrency=_QUEUED if settings.gpus else 1,
            scheduling_strategy="SPREAD",
        )
        actor = _Actor(made.remote(*self._made_of))
        self._begin(actor)
        return actor

    def _begin(self, actor: _Actor) -> None:
        actor.is_ready = False
        self._beginning[actor.handle.begin.options(max_task_retries=-1).remote()] = actor

    def has_room(self, batches: int) -> bool:
        """Whether more is to be read, while so many batches are under way."""
        count = len(self._actors)
        return len(self._waiting) < count and batches < _AHEAD * count

    def take(self, batch: _Batch) -> None:
        """Have a batch embedded, as far as it needs to be."""
        items = batch.items
        texts = [at for at, item in enumerate(items) if _wants_text(item)]
        images = [at for at, item in enumerate(items) if item.data is not None]
        self._send(batch, texts, images, [self._sent(items[at]) for at in images])
        for at in images:  # the bytes are Ray's from here on
            items[at] = replace(items[at], data=None)

    def _sent(self, item: Prepared) -> bytes | ImageRef:
        image = item.record.image
        assert image is not None
        assert item.data is not None
        is_file = image.path is not None and image.region is None
        return image if self._settings.shared and is_file else item.data

    def _send(
        self, batch: _Batch, texts: list[int], images: list[int], sent: list[bytes | ImageRef]
    ) -> None:
        words = [batch.items[at].record.text or "" for at in texts]
        shown = [batch.items[at] for at in images]
        captions = [item.record.text if item.wants_both else None for item in shown]
        wanted = [item.wants_image for item in shown]
        parcel = self._ray.put(Parcel(words, sent, captions, wanted))
        # What is put here outlives the machine that works on it.
        self._waiting.append(_Part(batch, texts, images, parcel))
        batch.missing += 1

    def turn(self, seconds: float) -> None:
        """Give actors work, and wait so long for one of them to be done.

        Raises:
            ClusterError: There was no actor for too long; a text ends actors.
            EncoderError: As `RayActors.embedded`.
        """
        self._distribute()
        under_way = [*self._running, *self._beginning]
        if not self._running and not self._waiting:
            seconds = 0
        for done in self._ray.wait(under_way, timeout=seconds)[0] if under_way else ():
            if done in self._beginning:
                self._begun(done, self._beginning.pop(done))
            else:
                self._come_back(done, *self._running.pop(done))
        raise_if_interrupted()
        now = time.monotonic()
        if any(actor.is_ready for actor in self._actors):
            self._had_one = now
        elif now - self._had_one > self._settings.patience:
            raise ClusterError(
                f"there was no actor with {self._settings.cpus:g} cores and "
                f"{self._settings.gpus:g} graphics cards for {self._settings.patience:g} seconds "
                f"({self._last_loss}); see what runs on the cluster with `ray status`. What is "
                "done is kept"
            )

    def _distribute(self) -> None:
        while self._waiting:
            part = self._waiting[0]
            able = [actor for actor in self._actors if actor.may_have(part)]
            if not able:  # those behind wait, or it would never find one that is alone
                return
            self._waiting.popleft()
            actor = min(able, key=lambda one: len(one.parts))
            actor.parts.append(part)
            self._running[actor.handle.embed.remote(part.parcel)] = part, actor

    def _begun(self, done: Any, actor: _Actor) -> None:
        try:
            self.fuses = self._ray.get(done)
            actor.is_ready = True
        except self._ray.exceptions.RayTaskError as error:
            _raise_cause(error)
        except self._ray.exceptions.RayError as error:  # it will not be begun again
            self._last_loss = _line(error)
            time.sleep(_TURN)
            self._actors[self._actors.index(actor)] = self._new_actor()

    def _come_back(self, done: Any, part: _Part, actor: _Actor) -> None:
        actor.parts.remove(part)
        try:
            made: EmbeddedParcel = self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            _raise_cause(error)
        except self._ray.exceptions.RayError as error:
            self._last_loss = _line(error)
            if actor.is_ready:
                _log.warning(
                    "an actor of the Ray cluster was lost (%s); another embeds what it had",
                    self._last_loss,
                )
                self._begin(actor)
            self._lost(part)
            return
        self.size = next_size(len(part.positions), made.seconds, self._most)
        self._merge(part, made)
        part.batch.missing -= 1

    def _lost(self, part: _Part) -> None:
        """Have another actor try, at last each record by itself, and then give up the one."""
        part.tries += 1
        if part.tries < _TRIES:
            self._waiting.appendleft(part)
            return
        batch, positions = part.batch, part.positions
        batch.missing -= 1
        if len(positions) > 1:
            parcel: Parcel = self._ray.get(part.parcel)
            sent = dict(zip(part.images, parcel.images, strict=True))
            for at in positions:
                texts = [at] if at in part.texts else []
                images = [at] if at in sent else []
                self._send(batch, texts, images, [sent[at] for at in images])
                self._waiting[-1].tries = 1  # it goes alone
            return
        item = batch.items[positions[0]]
        image = item.offer.record.image
        if image is None:
            raise ClusterError(
                f"record {item.record.id!r}: its text has ended {_TRIES} actors ({self._last_loss})"
            )
        fault = ImageError(image.name, "ends the process that is to embed it", f" ({_TRIES} times)")
        batch.items[positions[0]] = replace(item, error=fault)

    def _merge(self, part: _Part, made: EmbeddedParcel) -> None:
        items = part.batch.items
        for at, row in zip(part.texts, made.texts, strict=True):
            items[at] = _with(items[at], "text", row)
        good = [at for number, at in enumerate(part.images) if number not in made.faults]
        for at, row, fused, look in zip(good, made.images, made.fused, made.looks, strict=True):
            if look is not None:
                record = items[at].record
                assert record.image is not None
                record = record.with_image(replace(record.image, look=look))
                items[at] = replace(items[at], record=record)
            if fused is not None:  # asked for by the item as it was sent
                items[at] = _with(items[at], "both", fused)
            if row is not None:
                items[at] = _with(items[at], "image", row)
        again: dict[int, bytes] = {}
        for number, fault in made.faults.items():
            at = part.images[number]
            item = items[at]
            source, image = item.offer.record.image, item.record.image
            assert source is not None
            assert image is not None
            try:
                parcel: Parcel = self._ray.get(part.parcel)
                if isinstance(parcel.images[number], bytes):
                    raise fault
                again[at] = image.read_verified()  # the actor's machine may not see the file
            except ImageError as error:
                items[at] = replace(item, error=error.named(source.name))
        if again:
            _log.info("%d pictures could be read here only, and are sent", len(again))
            self._send(part.batch, [], list(again), list(again.values()))

    def end(self) -> None:
        """End all actors."""
        for actor in self._actors:
            with suppress(self._ray.exceptions.RayError):  # of a cluster that has failed
                self._ray.kill(actor.handle)


def _wants_text(item: Prepared) -> bool:
    return item.is_wanted and item.error is None and item.wants_text


def _with(item: Prepared, modality: VectorKind, row: Vector) -> Prepared:
    return replace(item, vectors={**(item.vectors or {}), modality: row.copy()})


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _raise_cause(error: Any) -> NoReturn:
    """What was raised in an actor, as it would have been raised here."""
    cause = error.cause
    if isinstance(cause, UniSemError):
        raise cause from None
    raise EncoderError(f"an actor of the Ray cluster has failed: {_line(cause)}") from error
