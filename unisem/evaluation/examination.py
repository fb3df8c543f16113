"""`diagnose`: ask a space with its own content, and with its users' queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from unisem.calibration import Calibration
from unisem.calibration.kinds import DocumentKind
from unisem.common.interrupts import raise_if_interrupted
from unisem.common.skipped import Skipped
from unisem.errors import ImageError, UniSemError
from unisem.evaluation.asked_modality import AskedModality, asked_modalities
from unisem.evaluation.asked_queries import AskedQuery
from unisem.evaluation.changes import IMAGE_CHANGES, TEXT_CHANGES
from unisem.evaluation.diagnosis import (
    Change,
    Cycle,
    Diagnosis,
    DiagnosisOptions,
    Hub,
    Places,
)
from unisem.evaluation.embeddings import Progress
from unisem.evaluation.findings import findings_of
from unisem.evaluation.geometry import Geometry
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.paraphrases import Paraphrases, paraphrases_of
from unisem.evaluation.projection import Projection
from unisem.evaluation.scores import Rows, Scores, compare
from unisem.evaluation.space_sample import SpaceSample
from unisem.evaluation.tasks import Form
from unisem.evaluation.written_report import Environment
from unisem.images.reference import ImageSource
from unisem.records import Record, Vector
from unisem.search.query import Query
from unisem.space import SemanticSpace
from unisem.stores.hits import Hit
from unisem.stores.selection import Match

_TEN = 10
_Top = tuple[str, list[Hit]]  # what was asked, and what came first
_AT_ONCE = 16  # queries of one call: what Ctrl-C waits for
_DEFAULTS = DiagnosisOptions()
_FORMS: tuple[Form, ...] = ("text", "image", "captioned image")
_WITH_TEXT: tuple[Form, ...] = ("text", "captioned image")
_WITH_IMAGE: tuple[Form, ...] = ("image", "captioned image")


def diagnose(
    space: SemanticSpace,
    queries: Sequence[AskedQuery] = (),
    *,
    options: DiagnosisOptions = _DEFAULTS,
    progress: Progress | None = None,
) -> Diagnosis:
    """Say whether one modality wins, which records are hubs, and what a query survives.

    The space is asked as its users ask it, by vector, with texts and pictures of its own that are
    drawn by seed; a record does not count as an answer to itself. Nothing is changed. How long it
    takes and what it holds in memory depends on the options, but for one pass over all records,
    whose ids are kept.

    Args:
        space: Raw or calibrated, of `FEWEST` records at least.
        queries: What its users ask.
        options: How much is looked at.
        progress: Called with what is being done, how much is done, and how much there is.

    Raises:
        UniSemError: Too few records, or a query names a record that is not there.
    """
    sample = SpaceSample.of(space, options.sample, options.seed, progress)
    for query in queries:
        for name in query.relevant:
            if name not in sample.position:
                raise UniSemError(f"the query {query.text!r} names {name!r}, which is no record")
    return _Examination(space, sample, options, progress).diagnosis(queries)


@dataclass(slots=True)
class _Examination:
    """One run: the space, what was drawn, and what could not ask."""

    space: SemanticSpace
    sample: SpaceSample
    options: DiagnosisOptions
    progress: Progress | None
    skipped: dict[str, Skipped] = field(default_factory=dict)

    def diagnosis(self, queries: Sequence[AskedQuery]) -> Diagnosis:
        options = self.options
        texts = self.sample.drawn(options.queries, _WITH_TEXT, options.seed)
        images = self.sample.drawn(options.queries, _WITH_IMAGE, options.seed)
        answered = [
            (
                "texts of the space",
                texts,
                self._asked("asking with texts", [Query(text=it.text, k=_TEN + 1) for it in texts]),
            ),
            (
                "pictures of the space",
                images,
                self._asked(
                    "asking with pictures", [Query(image=it.image, k=_TEN + 1) for it in images]
                ),
            ),
        ]
        places, tops = [], []
        paraphrases: tuple[Paraphrases, ...] = ()
        modalities: tuple[AskedModality, ...] = ()
        for name, asking, hits in answered:
            top = [
                (it.text or "", _without(found, it.id))
                for it, found in zip(asking, hits, strict=True)
                if found is not None
            ]
            if top:
                places.append(self._places(name, top, None))
                tops += top
        if queries:
            hits = self._asked("asking your queries", [query.query(_TEN) for query in queries])
            paraphrases = paraphrases_of(queries, hits)
            modalities = asked_modalities(queries, hits, self.sample.forms)
            top = [
                (query.text, found)
                for query, found in zip(queries, hits, strict=True)
                if found is not None
            ]
            places.append(self._places("your queries", top, self._relevant(queries)))
            tops += top
        calibration = self.space.calibration
        geometry, projection = self._geometry(None), self._projection()
        found = Diagnosis(
            name=str(self.space.place or "in memory"),
            encoder=self.space.encoder.name,
            records=len(self.sample.form),
            forms=self.sample.forms,
            choices=None if calibration is None else calibration.choices,
            options=options,
            findings=(),
            geometry=geometry,
            calibrated_geometry=None if calibration is None else self._geometry(calibration),
            places=tuple(places),
            hubs=self._hubs(tops),
            cycle=self._cycle(),
            paraphrases=paraphrases,
            modalities=modalities,
            changes=(*self._texts_changed(), *self._images_changed()),
            scores=self._scores(texts, images, calibration),
            projection=projection,
            skipped=tuple(self.skipped.values()),
            environment=Environment.here(),
        )
        return replace(found, findings=findings_of(found))

    def _asked(self, what: str, queries: Sequence[Query]) -> list[list[Hit] | None]:
        """Each query's hits; ``None`` for a picture that cannot ask, which is noted."""
        found: list[list[Hit] | None] = []
        for start in range(0, len(queries), _AT_ONCE):
            raise_if_interrupted()
            # Of records with one picture each is looked for.
            some = [replace(it, duplicates="keep") for it in queries[start : start + _AT_ONCE]]
            try:
                found += self.space.search_many(some)
            except ImageError:
                found += [self._alone(query) for query in some]
            if self.progress is not None:
                self.progress(what, len(found), len(queries))
        return found

    def _alone(self, query: Query) -> list[Hit] | None:
        try:
            return self.space.search_query(query)
        except ImageError as error:
            self.skipped[error.name] = Skipped.of(error)
            return None

    def _places(
        self, name: str, tops: Sequence[_Top], relevant: dict[Form, float] | None
    ) -> Places:
        position = self.sample.position
        # A record that was added since the sample was drawn has no number.
        rows = [
            [position[hit.record.id] for hit in hits if hit.record.id in position]
            for _, hits in tops
        ]
        shortest = min(map(len, rows))
        top = np.array([row[:shortest] for row in rows], np.int64)
        hubness = Hubness.over(top, self.sample.ids, self.sample.form)
        forms = self.sample.forms
        texts, images = (
            sum(forms.get(form, 0) for form in some) for some in (_WITH_TEXT, _WITH_IMAGE)
        )
        matched = [hit.matched for _, hits in tops for hit in hits if hit.matched != "both"]
        present = texts / (texts + images)
        return Places(
            asked=name,
            queries=len(tops),
            hubness=hubness,
            relevant=relevant,
            by_text=matched.count("text") / len(matched) if matched else present,
            texts_present=present,
            chance=min(1.0, shortest / len(self.sample.form)),
        )

    def _relevant(self, queries: Sequence[AskedQuery]) -> dict[Form, float] | None:
        position, form = self.sample.position, self.sample.form
        named = Counter(form[position[one]] for query in queries for one in query.relevant)
        total = sum(named.values())
        if not total:
            return None
        return {kind: named[kind] / total for kind in _FORMS if self.sample.forms[kind]}

    def _hubs(self, tops: Sequence[_Top]) -> tuple[Hub, ...]:
        answers = [(text, set(_ids(hits))) for text, hits in tops]
        counts = Counter(one for _, ids in answers for one in ids)
        ranked = sorted(counts, key=lambda one: (-counts[one], one))[: self.options.hubs]
        hubs = []
        for record in self.space.get(ranked):
            if record is not None:
                asked = [text for text, ids in answers if text and record.id in ids]
                share = counts[record.id] / len(tops)
                hubs.append(Hub(record, share, tuple(dict.fromkeys(asked))[:3]))
        return tuple(hubs)

    def _geometry(self, calibration: Calibration | None) -> Geometry | None:
        sample = self.sample
        if len(sample.texts) < 2 or len(sample.images) < 2:
            return None
        images, texts = _stacked(sample.images), _stacked(sample.texts)
        if calibration is not None:
            width = calibration.dimension
            images = calibration.documents(images, np.ones(len(images), bool))[:, :width]
            texts = calibration.documents(texts, np.zeros(len(texts), bool))[:, :width]
        number = {record.id: place for place, record in enumerate(sample.records)}
        return Geometry.of(
            images,
            texts,
            np.array([number[one] for one in sample.images]),
            np.array([number[one] for one in sample.texts]),
            seed=self.options.seed,
        )

    def _projection(self) -> Projection | None:
        captioned = self.sample.drawn(self.options.points, ("captioned image",), self.options.seed)
        shown = [
            record
            for record in captioned
            if record.id in self.sample.images and record.id in self.sample.texts
        ]
        if len(shown) < 2:
            return None
        return Projection.of(
            np.stack([self.sample.images[record.id] for record in shown]),
            np.stack([self.sample.texts[record.id] for record in shown]),
            tuple(record.text or "" for record in shown),
        )

    def _cycle(self) -> Cycle | None:
        captioned = self.sample.drawn(self.options.queries, ("captioned image",), self.options.seed)
        asked = [Query(text=record.text, k=1, match="image") for record in captioned]
        hits = self._asked("from captions to pictures", asked)
        nearest = [
            (record, found[0].record)
            for record, found in zip(captioned, hits, strict=True)
            if found
        ]
        back = self._asked(
            "from pictures to captions",
            [Query(image=picture.image, k=1, match="text") for _, picture in nearest],
        )
        ways = [
            (record, picture, found[0].record)
            for (record, picture), found in zip(nearest, back, strict=True)
            if found
        ]
        if not ways:
            return None
        there = [record.id == picture.id for record, picture, _ in ways]
        same = [record.id == end.id or record.text == end.text for record, _, end in ways]
        return Cycle(len(ways), float(np.mean(there)), float(np.mean(same)))

    def _texts_changed(self) -> list[Change]:
        """Captions look for their pictures; in a space without any, texts for themselves."""
        form: Form = "captioned image" if self.sample.forms["captioned image"] else "text"
        match: Match = "image" if form == "captioned image" else "text"
        records = self.sample.drawn(self.options.changed, (form,), self.options.seed)

        def query(text: str) -> Query:
            return Query(text=text, k=_TEN, match=match)

        texts = [record.text or "" for record in records]
        before = self._asked("asking in other words", [query(text) for text in texts])
        found = [_change("text", "unchanged", records, before, before)]
        for name, change in TEXT_CHANGES.items():
            after = self._asked("asking in other words", [query(change(text)) for text in texts])
            found.append(_change("text", name, records, before, after))
        return [one for one in found if one.queries]

    def _images_changed(self) -> list[Change]:
        drawn = self.sample.drawn(self.options.changed, _WITH_IMAGE, self.options.seed)
        records, pixels = [], []
        for record in drawn:
            raise_if_interrupted()
            assert record.image is not None
            try:
                pixels.append(self.space.encoder.prepare_image(record.image))
            except ImageError as error:
                self.skipped[error.name] = Skipped.of(error)
            else:
                records.append(record)

        def query(image: ImageSource) -> Query:
            return Query(image=image, k=_TEN, match="image")

        what = "asking with changed pictures"
        before = self._asked(what, [query(image) for image in pixels])
        found = [_change("image", "unchanged", records, before, before)]
        for name, change in IMAGE_CHANGES.items():
            after = self._asked(what, [query(change(image)) for image in pixels])
            found.append(_change("image", name, records, before, after))
        return [one for one in found if one.queries]

    def _scores(
        self,
        texts: Sequence[Record],
        images: Sequence[Record],
        calibration: Calibration | None,
    ) -> tuple[Scores, ...]:
        sample = self.sample
        asked: dict[DocumentKind, Rows] = {}
        if texts:
            words = [record.text or "" for record in texts]
            rows = self.space.encoder.encode_texts(words, "query")
            asked["text"] = Rows([record.id for record in texts], rows)
        shown = [record.id for record in images if record.id in sample.images]
        if shown:
            asked["image"] = Rows(shown, np.stack([sample.images[one] for one in shown]))
        stored: dict[DocumentKind, Rows] = {}
        if sample.texts:
            stored["text"] = Rows(list(sample.texts), _stacked(sample.texts))
        if sample.images:
            stored["image"] = Rows(list(sample.images), _stacked(sample.images))
        return compare(asked, stored, calibration)


def _change(
    asked: Literal["text", "image"],
    name: str,
    records: Sequence[Record],
    before: Sequence[list[Hit] | None],
    after: Sequence[list[Hit] | None],
) -> Change:
    first, ten, overlap = [], [], []
    for record, old, new in zip(records, before, after, strict=True):
        if not old or not new:
            continue
        was, now = _ids(old), _ids(new)
        first.append(now[0] == record.id)
        ten.append(record.id in now)
        overlap.append(len(set(was) & set(now)) / len(was))
    if not first:
        return Change(asked, name, 0, 0.0, 0.0, 0.0)
    means = (float(np.mean(values)) for values in (first, ten, overlap))
    return Change(asked, name, len(first), *means)


def _ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.record.id for hit in hits]


def _without(hits: Sequence[Hit], own: str) -> list[Hit]:
    """The first ten others."""
    return [hit for hit in hits if hit.record.id != own][:_TEN]


def _stacked(vectors: Mapping[str, Vector]) -> Vector:
    return np.stack(list(vectors.values()))
