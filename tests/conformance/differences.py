"""`Difference`: a test of upstream that our store fails on purpose, and why."""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.outcomes import Store


@dataclass(frozen=True, slots=True)
class Difference:
    """A test that fails with our store.

    Attributes:
        test: Its id; without parameters it stands for all of them.
        reason: Why ours does otherwise.
        stores: With which of our stores it fails.
    """

    test: str
    reason: str
    stores: tuple[Store, ...] = ("shipped", "docstore")

    def covers(self, test: str) -> bool:
        """Whether a test's id is this one's."""
        return test == self.test or test.startswith(self.test + "[")


_STORES = "tests/vector_stores"
_INDICES = "tests/indices/vector_store"
_NODES_DICT = (
    "asserts what the index and its docstore keep beside the store; LlamaIndex keeps nothing there "
    "for a store that keeps the texts itself"
)
_ZERO = "adds a zero vector, which ours refuses by name; it points nowhere and has no cosine"
_SHIPPED: tuple[Store, ...] = ("shipped",)

EXPECTED = (
    Difference(
        f"{_STORES}/test_metadata_filters_logic.py::test_text_match_requires_string_values",
        "a comparison across types matches nothing and ends no search",
    ),
    Difference(
        f"{_STORES}/test_metadata_filters_logic.py::test_text_match_insensitive_requires_string_values",
        "a comparison across types matches nothing and ends no search",
    ),
    Difference(
        f"{_STORES}/test_metadata_filters_logic.py::test_nested_metadata_filters_raise_error",
        "nested conditions are understood",
    ),
    Difference(
        f"{_STORES}/test_simple_mmr_threshold.py::test_mmr_threshold_sources",
        "looks at a function inside SimpleVectorStore's module being called",
    ),
    Difference(
        f"{_STORES}/test_simple_doc_ids.py::test_document_filter_handles_missing_source_mapping",
        "writes into SimpleVectorStore's dictionaries",
    ),
    *(
        Difference(f"{_STORES}/test_simple_doc_ids.py::{test}", "doc_ids=[] restricts nothing")
        for test in (
            "test_retriever_constrains_source_documents[default-doc_ids1-expected1]",
            "test_retriever_constrains_source_documents[mmr-doc_ids1-expected1]",
            "test_document_filter_with_no_candidates_in_learner_modes[svm-doc_ids0]",
            "test_document_filter_with_no_candidates_in_learner_modes[linear_regression-doc_ids0]",
            "test_document_filter_with_no_candidates_in_learner_modes[logistic_regression-doc_ids0]",
        )
    ),
    Difference(
        f"{_INDICES}/test_retrievers.py::test_simple_check_ids",
        "all scores are equal; ours are then in the order of ids",
    ),
    Difference(
        f"{_INDICES}/test_retrievers.py::test_query_image_node",
        "LlamaIndex's own retriever asks such a store for the pictures only; UniSemIndex for all",
        _SHIPPED,
    ),
    Difference(f"{_INDICES}/test_simple.py::test_simple_pickle", _NODES_DICT, _SHIPPED),
    Difference(f"{_INDICES}/test_simple.py::test_build_simple", _NODES_DICT, _SHIPPED),
    Difference(f"{_INDICES}/test_simple.py::test_simple_delete", _NODES_DICT, _SHIPPED),
    Difference(f"{_INDICES}/test_simple.py::test_simple_async", _NODES_DICT, _SHIPPED),
    Difference(
        f"{_INDICES}/test_simple.py::test_simple_delete_ref_node_from_docstore",
        _NODES_DICT,
        _SHIPPED,
    ),
    Difference(f"{_INDICES}/test_simple_async.py::test_simple_deletion", _NODES_DICT, _SHIPPED),
    Difference(f"{_INDICES}/test_simple_async.py::test_simple_update", _ZERO),
    Difference(f"{_INDICES}/test_simple_async.py::test_simple_refresh", _ZERO),
    Difference("tests/storage/test_storage_context.py::test_storage_context_dict", _ZERO),
)
"""What is known, checked with the tests of llama-index-core 0.14.14 and some of later versions."""
