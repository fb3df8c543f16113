"""How well an HNSW graph over texts and pictures answers, over raw and over calibrated vectors."""

from __future__ import annotations

import timeit

import faiss
import numpy as np

from benchmarks.mixed_data import Things
from unisem.calibration import Calibration
from unisem.calibration.kinds import DOCUMENT_KINDS
from unisem.records import Vector

NEIGHBOURS = 32
BEAMS = (16, 32, 64, 128, 256)
_TIE = 1e-5  # scores that differ by less are equal


def index_table(calibration: Calibration, stored: Things, asked: Things) -> None:
    """How many of ten found are as good as exact search's tenth, and microseconds, one thread."""
    faiss.omp_set_num_threads(1)
    rows = np.vstack([stored.texts, stored.images])
    is_image = np.arange(len(rows)) >= len(stored)
    calibrated = calibration.documents(rows, is_image)
    print(f"\n### HNSW{NEIGHBOURS} over {len(rows):,} vectors: ann_recall@10 (microseconds)\n")
    print("| asked | vectors | " + " | ".join(f"ef {beam}" for beam in BEAMS) + " |")
    print("|---|---|" + "---|" * len(BEAMS))
    for kind in DOCUMENT_KINDS:
        queries = asked.questions if kind == "text" else asked.images
        seen = np.stack([query.vector for query in calibration.queries(queries, kind)])
        for name, vectors, questions in (
            ("raw", rows, queries),
            ("calibrated", calibrated, seen),
        ):
            cells = " | ".join(_measured(vectors, questions))
            print(f"| {kind} | {name} | {cells} |", flush=True)


def _measured(vectors: Vector, questions: Vector) -> list[str]:
    least = np.sort(questions @ vectors.T, axis=1)[:, -10:-9]  # (q, 1)
    index = faiss.IndexHNSWFlat(vectors.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.add(np.ascontiguousarray(vectors))
    cells = []
    for beam in BEAMS:
        index.hnsw.efSearch = beam
        scores, _ = index.search(questions, 10)
        right = (scores >= least - _TIE).mean()
        seconds = min(timeit.repeat(lambda: index.search(questions, 10), number=1, repeat=5))
        cells.append(f"{right:.3f} ({1e6 * seconds / len(questions):.0f})")
    return cells
