"""`Diagnosis`: what stands between the queries of a space and good answers, in values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from unisem.calibration import Choices
from unisem.common.skipped import Skipped
from unisem.evaluation.asked_modality import AskedModality
from unisem.evaluation.geometry import Geometry
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.paraphrases import Paraphrases
from unisem.evaluation.projection import Projection
from unisem.evaluation.scores import Scores
from unisem.evaluation.tasks import Form
from unisem.evaluation.written_report import Environment, WrittenReport
from unisem.records import Record

FORMAT = "unisem-diagnosis"
VERSION = 1


@dataclass(frozen=True, slots=True)
class DiagnosisOptions:
    """How much is looked at; the same options and space give the same figures.

    Attributes:
        queries: How many of the space's texts, and of its pictures, ask it.
        changed: How many of them ask it again, changed.
        sample: How many records' vectors are compared.
        hubs: How many of the worst hubs are shown.
        points: How many captioned pictures the plot shows.
        seed: Decides every draw.
    """

    queries: int = 300
    changed: int = 100
    sample: int = 2000
    hubs: int = 8
    points: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("queries", "changed", "sample"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, not {getattr(self, name)!r}")
        for name in ("hubs", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be below 0, not {getattr(self, name)!r}")
        if self.points < 2:
            raise ValueError(f"points must be at least 2, not {self.points!r}")


@dataclass(frozen=True, slots=True)
class Places:
    """Who has the first ten places when one kind of query asks.

    Attributes:
        asked: ``"texts of the space"``, ``"pictures of the space"`` or ``"your queries"``.
        queries: How many asked.
        hubness: How the places are shared out; a record of the space does not count as an answer to
            itself. ``largest`` and ``hub`` are of these queries.
        relevant: Share of each form among the answers that your queries name; ``None`` where nobody
            said what is relevant.
        by_text: Share of the places that were won by a text's or a caption's vector, not by a
            picture's, leaving out those that a fused vector won; ``texts_present`` if it won all.
        texts_present: Share of the space's vectors that are of texts or captions, leaving out
            fused ones.
        chance: The largest hub's share if places were drawn blindly, about.
    """

    asked: str
    queries: int
    hubness: Hubness
    relevant: Mapping[Form, float] | None
    by_text: float
    texts_present: float
    chance: float

    @property
    def fair(self) -> Mapping[Form, float]:
        """The share that each form should have: of what is relevant, else of the space."""
        return self.hubness.present if self.relevant is None else self.relevant


@dataclass(frozen=True, slots=True)
class Hub:
    """A record that answers more than its share.

    Attributes:
        record: The record.
        share: Of all queries that have it among their first ten.
        asked: Up to three texts that it answered.
    """

    record: Record
    share: float
    asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cycle:
    """From a caption to a picture and back.

    Attributes:
        queries: Captions that were asked.
        there: Share of them whose own picture is the nearest picture.
        back: Share of them that come back: the text nearest to that nearest picture says the same.
    """

    queries: int
    there: float
    back: float


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of answers if the query changes and its meaning does not.

    Attributes:
        asked: ``"text"`` or ``"image"``.
        change: What was done; ``"unchanged"`` is what to compare with.
        queries: How many.
        first: Share of them whose own picture (of a space without captioned pictures, own text)
            comes first.
        ten: Share of them that have it among the first ten.
        overlap: Mean share of the first ten that the unchanged query has, too.
    """

    asked: Literal["text", "image"]
    change: str
    queries: int
    first: float
    ten: float
    overlap: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know, and what to do about it.

    Attributes:
        name: A short word for programs: ``gap``, ``share``, ``hubs``, ``cycle``, ``robustness``,
            ``scores``, ``kinds``, ``paraphrases``, ``modality``.
        is_problem: Whether it costs answers.
        text: What was found.
        remedy: What to do; empty if nothing.
    """

    name: str
    is_problem: bool
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis(WrittenReport):
    """What `diagnose` found.

    Attributes:
        name: The space's place.
        encoder: Its encoder's name.
        records: How many it holds.
        forms: How many of each form.
        choices: What its calibration does; ``None`` if scores are raw.
        options: How it was diagnosed.
        findings: Problems first.
        geometry: The gap between the raw vectors of texts and of pictures; ``None`` if there are
            fewer than two of either.
        calibrated_geometry: The same of calibrated vectors; ``None`` without a calibration.
        places: One for each kind of query that asked.
        hubs: The worst, worst first.
        cycle: ``None`` without captioned pictures.
        paraphrases: Of your queries that name a wish, by what was asked with.
        modalities: Of your queries that want a modality, one for each.
        changes: Robustness; empty without pictures or texts to ask with.
        scores: Histograms, one for each pair of a kind of query and a kind of vector.
        projection: A plane to look at; ``None`` with fewer than two captioned pictures.
        skipped: Pictures that could not ask.
        environment: Where and when.
    """

    name: str
    encoder: str
    records: int
    forms: Mapping[Form, int]
    choices: Choices | None
    options: DiagnosisOptions
    findings: tuple[Finding, ...]
    geometry: Geometry | None
    calibrated_geometry: Geometry | None
    places: tuple[Places, ...]
    hubs: tuple[Hub, ...]
    cycle: Cycle | None
    paraphrases: tuple[Paraphrases, ...]
    modalities: tuple[AskedModality, ...]
    changes: tuple[Change, ...]
    scores: tuple[Scores, ...]
    projection: Projection | None = field(repr=False)
    skipped: tuple[Skipped, ...]
    environment: Environment

    @property
    def calibrated(self) -> bool:
        """Whether the space has a calibration, which may have chosen to change nothing."""
        return self.choices is not None

    def as_json(self) -> dict[str, Any]:
        """All but the plot, as JSON values; ``docs/guides/diagnose.md`` says what is where."""

        def geometry(of: Geometry | None) -> dict[str, Any] | None:
            return None if of is None else asdict(of)

        return {
            "format": FORMAT,
            "version": VERSION,
            "space": {
                "name": self.name,
                "encoder": self.encoder,
                "records": self.records,
                "forms": dict(self.forms),
                "calibrated": self.calibrated,
                "choices": None if self.choices is None else asdict(self.choices),
            },
            "options": asdict(self.options),
            "findings": [asdict(finding) for finding in self.findings],
            "gap": geometry(self.geometry),
            "calibrated_gap": geometry(self.calibrated_geometry),
            "places": [
                {
                    "asked": one.asked,
                    "queries": one.queries,
                    **asdict(one.hubness),
                    "relevant": None if one.relevant is None else dict(one.relevant),
                    "by_text": one.by_text,
                    "texts_present": one.texts_present,
                    "chance": one.chance,
                }
                for one in self.places
            ],
            "hubs": [
                {
                    "id": hub.record.id,
                    "text": hub.record.text,
                    "image": None if hub.record.image is None else hub.record.image.name,
                    "share": hub.share,
                    "asked": list(hub.asked),
                }
                for hub in self.hubs
            ],
            "cycle": None if self.cycle is None else asdict(self.cycle),
            "paraphrases": [asdict(one) for one in self.paraphrases],
            "modalities": [asdict(one) for one in self.modalities],
            "changes": [asdict(change) for change in self.changes],
            "scores": [asdict(one) for one in self.scores],
            "skipped": [asdict(item) for item in self.skipped],
            "environment": asdict(self.environment),
        }

    def as_html(self) -> str:
        """A page with plots and pictures that needs nothing else."""
        from unisem.evaluation.diagnosis_page import render_diagnosis

        return render_diagnosis(self)
