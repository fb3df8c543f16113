"""`PairTasks`: the retrieval tasks that captioned pictures give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unisem.errors import UniSemError
from unisem.evaluation.tasks import RetrievalTask
from unisem.images.reference import ImageRef
from unisem.pairs.dataset import PairDataset, caption_key
from unisem.records import Record

TEXT_TO_IMAGE = "text to image"
IMAGE_TO_TEXT = "image to text"
TEXT_TO_MIXED = "text to mixed"
IMAGE_TO_MIXED = "image to mixed"


@dataclass(frozen=True, slots=True, eq=False)
class PairTasks:
    """Both directions, and a mixed corpus asked by texts and by pictures.

    Pictures of equal content are one candidate, and so are captions that differ in case and white
    space only. Relevant is whatever is paired.

    **The mixed corpus** follows MixBench (https://arxiv.org/abs/2507.19054): a third of the
    pictures is represented by a caption alone, a third by its pixels alone, a third by both, all
    in one list. A query must not be a copy of what it looks for, so a caption that is in the
    corpus is not asked. A picture with one caption is therefore looked for by its caption if it
    is there as pixels, its caption is looked for by the picture if it is there as a text, and as
    a captioned picture it only competes. Pictures that share a caption are of one form.

    Attributes:
        tasks: Those that have queries.
        images: Every distinct picture, without text; ids begin with ``image:``.
        texts: Every distinct caption; ids begin with ``text:``.
        captioned: Every picture with the caption that stands for it in the mixed corpus.
        captions: What is said of each picture, by the picture's id.
        groups: Numbers, equal where pictures and captions hang together, by their ids.
    """

    tasks: tuple[RetrievalTask, ...]
    images: tuple[Record, ...]
    texts: tuple[Record, ...]
    captioned: tuple[Record, ...]
    captions: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, int]

    @classmethod
    def of(cls, pairs: PairDataset, *, seed: int = 0) -> Self:
        """Make the tasks of checked pairs; see `unisem.training.check_pairs`.

        Args:
            pairs: At least two pictures and two captions.
            seed: Decides which form each picture has in the mixed corpus.

        Raises:
            UniSemError: Too few pictures or captions to rank.
        """
        graph = _Graph(pairs)
        if len(graph.images) < 2 or len(graph.texts) < 2:
            raise UniSemError(
                f"{len(pairs)} usable pairs with {len(graph.images)} pictures and "
                f"{len(graph.texts)} captions; a ranking needs at least two of each"
            )
        made = (_text_to_image(graph), _image_to_text(graph), *_mixed(graph, seed))
        return cls(
            tasks=tuple(task for task in made if task.queries),
            images=tuple(graph.images.values()),
            texts=tuple(graph.texts.values()),
            captioned=tuple(graph.captioned(image) for image in graph.images),
            captions={
                image: tuple(graph.texts[text].text or "" for text in texts)
                for image, texts in graph.texts_of.items()
            },
            groups=graph.groups,
        )


class _Graph:
    """Distinct pictures and captions, and which belong together; in the data's order."""

    def __init__(self, pairs: PairDataset) -> None:
        self.images: dict[str, Record] = {}
        self.texts: dict[str, Record] = {}
        self.texts_of: dict[str, list[str]] = {}
        self.images_of: dict[str, list[str]] = {}
        self.groups: dict[str, int] = {}
        name_of: dict[int, tuple[str, ImageRef]] = {}  # of a picture's copies the least id
        numbers = pairs.document_ids
        for number, pair in zip(numbers, pairs, strict=True):
            here = (pair.image_id, pair.image)
            name_of[int(number)] = min(name_of.get(int(number), here), here, key=lambda it: it[0])
        for number, group, pair in zip(numbers, pairs.groups, pairs, strict=True):
            name, reference = name_of[int(number)]
            image, text = (
                f"{kind}:{what}".replace("\0", "\ufffd")  # which no id may hold
                for kind, what in (("image", name), ("text", caption_key(pair.caption)))
            )
            self.images.setdefault(image, Record(id=image, image=reference))
            self.texts.setdefault(text, Record(id=text, text=pair.caption))
            self.groups[image] = self.groups[text] = int(group)
            for key, other, table in (
                (image, text, self.texts_of),
                (text, image, self.images_of),
            ):
                linked = table.setdefault(key, [])
                if other not in linked:
                    linked.append(other)

    def captioned(self, image: str) -> Record:
        """A picture with its first caption."""
        caption = self.texts[self.texts_of[image][0]]
        return Record(id=image, text=caption.text, image=self.images[image].image)

    def task(
        self,
        name: str,
        queries: Iterable[tuple[Record, Iterable[str]]],
        candidates: Iterable[Record],
    ) -> RetrievalTask:
        asked = [(query, dict.fromkeys(wanted, 1.0)) for query, wanted in queries]
        return RetrievalTask(
            name,
            tuple(query for query, _ in asked),
            tuple(candidates),
            tuple(wanted for _, wanted in asked),
            np.array([self.groups[query.id] for query, _ in asked], np.int64),
        )


def _text_to_image(graph: _Graph) -> RetrievalTask:
    queries = ((record, graph.images_of[text]) for text, record in graph.texts.items())
    return graph.task(TEXT_TO_IMAGE, queries, graph.images.values())


def _image_to_text(graph: _Graph) -> RetrievalTask:
    queries = ((record, graph.texts_of[image]) for image, record in graph.images.items())
    return graph.task(IMAGE_TO_TEXT, queries, graph.texts.values())


def _mixed(graph: _Graph, seed: int) -> tuple[RetrievalTask, RetrievalTask]:
    form = _forms(graph, seed)
    shown = {image: texts[0] for image, texts in graph.texts_of.items()}  # the caption in the list
    candidates: dict[str, Record] = {}
    for image, record in graph.images.items():
        caption = graph.texts[shown[image]]
        match form[graph.groups[image]]:
            case 0:
                candidates[caption.id] = caption
            case 1:
                candidates[image] = record
            case _:
                candidates[image] = graph.captioned(image)
    in_the_list = {shown[image] for image in graph.images if form[graph.groups[image]] != 1}
    by_text: list[tuple[Record, list[str]]] = []
    for text, record in graph.texts.items():
        images = graph.images_of[text]
        if text in in_the_list:
            continue
        if form[graph.groups[text]] == 0:
            described = (other for image in images for other in graph.texts_of[image])
            by_text.append((record, [other for other in described if other in candidates]))
        else:
            by_text.append((record, images))
    by_image = [
        (record, [text for text in graph.texts_of[image] if text in candidates])
        for image, record in graph.images.items()
        if form[graph.groups[image]] == 0
    ]
    return (
        graph.task(TEXT_TO_MIXED, by_text, candidates.values()),
        graph.task(IMAGE_TO_MIXED, by_image, candidates.values()),
    )


def _forms(graph: _Graph, seed: int) -> NDArray[np.int64]:
    """``(groups,)`` of 0 (caption), 1 (pixels), 2 (both), as many of each as can be."""
    forms = np.arange(max(graph.groups.values()) + 1, dtype=np.int64) % 3
    return np.random.default_rng(seed).permutation(forms)
