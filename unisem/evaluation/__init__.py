"""Evaluation: how well an encoder retrieves, in the field's measures, and where it fails.

Names are imported when first used, so that a ranking costs no more than NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.evaluation.asked_queries import AskedQuery as AskedQuery
    from unisem.evaluation.asked_queries import read_queries as read_queries
    from unisem.evaluation.benchmark_files import benchmark_folders as benchmark_folders
    from unisem.evaluation.benchmark_files import subsets_of as subsets_of
    from unisem.evaluation.benchmark_run import evaluate_benchmarks as evaluate_benchmarks
    from unisem.evaluation.benchmark_run import mteb_results as mteb_results
    from unisem.evaluation.benchmarks import read_benchmark as read_benchmark
    from unisem.evaluation.bootstrap import bootstrap_interval as bootstrap_interval
    from unisem.evaluation.class_names import ClassNames as ClassNames
    from unisem.evaluation.diagnosis import Diagnosis as Diagnosis
    from unisem.evaluation.diagnosis import DiagnosisOptions as DiagnosisOptions
    from unisem.evaluation.examination import diagnose as diagnose
    from unisem.evaluation.mteb import write_mteb as write_mteb
    from unisem.evaluation.options import EvaluationOptions as EvaluationOptions
    from unisem.evaluation.ranking import Ranking as Ranking
    from unisem.evaluation.report import Report as Report
    from unisem.evaluation.reranker_calibration import calibrate_reranker as calibrate_reranker
    from unisem.evaluation.run import evaluate as evaluate
    from unisem.evaluation.tasks import RetrievalTask as RetrievalTask
    from unisem.evaluation.zero_shot import evaluate_zero_shot as evaluate_zero_shot
    from unisem.evaluation.zero_shot import mteb_classification as mteb_classification

__getattr__, __dir__, __all__ = lazy_names(__name__)
