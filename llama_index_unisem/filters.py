"""`to_filter`, from LlamaIndex's metadata filters to UniSem's."""

from __future__ import annotations

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from unisem.errors import FilterError
from unisem.filters import SOURCE, And, Comparison, Filter, Not, Operator, Or

_OPERATORS = {
    FilterOperator.EQ: Operator.EQ,
    FilterOperator.NE: Operator.NE,
    FilterOperator.GT: Operator.GT,
    FilterOperator.GTE: Operator.GE,
    FilterOperator.LT: Operator.LT,
    FilterOperator.LTE: Operator.LE,
    FilterOperator.IN: Operator.IN,
    FilterOperator.NIN: Operator.NOT_IN,
    FilterOperator.ANY: Operator.ANY,
    FilterOperator.ALL: Operator.ALL,
    FilterOperator.CONTAINS: Operator.CONTAINS,
    FilterOperator.TEXT_MATCH: Operator.TEXT,
    FilterOperator.TEXT_MATCH_INSENSITIVE: Operator.TEXT_INSENSITIVE,
    FilterOperator.IS_EMPTY: Operator.IS_EMPTY,
}


_DOCUMENT = ("ref_doc_id", "doc_id", "document_id")
"""What LlamaIndex's stores call the document that a node is of, beside its metadata."""


def to_filter(filters: Filter | MetadataFilters | MetadataFilter | None) -> Filter | None:
    """Translate a metadata filter; UniSem's own filters pass as they are.

    Nested `MetadataFilters` are translated as nested. A list without parts restricts nothing,
    whatever its condition, as in LlamaIndex's own store.

    Returns:
        The filter, or ``None`` if there is no restriction.

    Raises:
        FilterError: An unknown type, operator or condition, or a value that does not suit its
            operator. It is a ``ValueError``.
    """
    match filters:
        case None:
            return None
        case Filter():
            return filters
        case MetadataFilter():
            return _comparison(filters)
        case MetadataFilters():
            return _group(filters)
    raise FilterError(
        f"filters must be MetadataFilters or a unisem.filters.Filter, not "
        f"{type(filters).__name__}; for example "
        'MetadataFilters(filters=[MetadataFilter(key="year", operator=">=", value=2020)])'
    )


def _group(filters: MetadataFilters) -> Filter | None:
    translated = [to_filter(part) for part in filters.filters]
    if not translated:
        return None
    parts = tuple(And(()) if part is None else part for part in translated)
    match filters.condition:
        case None | FilterCondition.AND:
            return And(parts)
        case FilterCondition.OR:
            return Or(parts)
        case FilterCondition.NOT:
            return Not(Or(parts))
    raise FilterError(f"unknown filter condition {filters.condition!r}")


def _comparison(condition: MetadataFilter) -> Comparison:
    operator = _OPERATORS.get(condition.operator)
    if operator is None:
        raise FilterError(
            f"filter on {condition.key!r}: unknown operator {condition.operator!r}; "
            f"known are {', '.join(known.value for known in _OPERATORS)}"
        )
    key = SOURCE if condition.key in _DOCUMENT else condition.key
    return Comparison(key, operator, condition.value)
