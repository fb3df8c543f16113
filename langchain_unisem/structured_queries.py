"""`UniSemTranslator`: from LangChain's structured queries to a core `Filter`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.structured_query import (
    Comparator,
    Comparison,
    FilterDirective,
    Operation,
    Operator,
    StructuredQuery,
    Visitor,
)

from unisem import filters
from unisem.errors import FilterError
from unisem.filters import And, Filter, Not, Or

_COMPARISONS = {
    Comparator.EQ: filters.Operator.EQ,
    Comparator.NE: filters.Operator.NE,
    Comparator.GT: filters.Operator.GT,
    Comparator.GTE: filters.Operator.GE,
    Comparator.LT: filters.Operator.LT,
    Comparator.LTE: filters.Operator.LE,
    Comparator.IN: filters.Operator.IN,
    Comparator.NIN: filters.Operator.NOT_IN,
}


class UniSemTranslator(Visitor):
    """Translate what a model wrote for a self-query retriever; all its operators are known.

    ``contain`` holds if the value is a list that has the item, or a string that has the text.
    ``like`` holds if the value is a string that has the text, whatever the case; ``%`` at its
    ends changes nothing, and inside it is refused. Dates are compared as ISO strings.

    >>> from langchain_core.structured_query import Comparator, Comparison, StructuredQuery
    >>> recent = Comparison(Comparator.GTE, "year", 2020)
    >>> UniSemTranslator().visit_structured_query(StructuredQuery("cats", recent))
    ('cats', {'filter': Comparison(field='year', operator=<Operator.GE: 'ge'>, value=2020)})
    """

    allowed_comparators = tuple(Comparator)
    allowed_operators = tuple(Operator)

    def translate(self, directive: FilterDirective) -> Filter:
        """Return the filter that a directive means.

        Raises:
            FilterError: A directive or operator that is none, or a value that does not suit it.
        """
        match directive:
            case Operation():
                return self.visit_operation(directive)
            case Comparison():
                return self.visit_comparison(directive)
        raise FilterError(f"{type(directive).__name__} is no comparison and no operation")

    def visit_operation(self, operation: Operation) -> Filter:
        """Translate ``and``, ``or`` and ``not``."""
        parts = tuple(map(self.translate, operation.arguments))
        if not parts:
            raise FilterError(f"{operation.operator.value} needs conditions, and has none")
        match operation.operator:
            case Operator.AND:
                return And(parts)
            case Operator.OR:
                return Or(parts)
        if len(parts) != 1:
            raise FilterError(f"not needs one condition, and has {len(parts)}")
        return Not(parts[0])

    def visit_comparison(self, comparison: Comparison) -> Filter:
        """Translate one attribute against one value."""
        field, value = comparison.attribute, _plain(comparison.value)
        match comparison.comparator:
            case Comparator.CONTAIN:
                item = filters.Field(field).contains(value)
                return item | filters.Field(field).matches_text(value) if _is_text(value) else item
            case Comparator.LIKE:
                return filters.Field(field).matches_text(_pattern(field, value), ignore_case=True)
            case Comparator.EQ | Comparator.NE if isinstance(value, list | tuple):
                # A model that writes a list here means "in" or "contain".
                raise FilterError(
                    f"filter on {field!r}: {comparison.comparator.value!r} needs a string, number, "
                    f"boolean or date, not {type(value).__name__}"
                )
            case comparator:
                return filters.Comparison(field, _COMPARISONS[comparator], value)

    def visit_structured_query(
        self, structured_query: StructuredQuery
    ) -> tuple[str, dict[str, Any]]:
        """Return the text to search with and the search's keyword arguments."""
        if structured_query.filter is None:
            return structured_query.query, {}
        return structured_query.query, {"filter": self.translate(structured_query.filter)}


def _plain(value: Any) -> Any:
    """Unpack the dates that LangChain's query parser writes as dictionaries, in lists as well."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        kind = value.get("type")
        if kind in ("date", "datetime") and isinstance(value.get(kind), str):
            return value[kind]
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _pattern(field: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value  # the comparison says what is wrong with it
    if "%" in (text := value.strip("%")):
        raise FilterError(f"filter on {field!r}: like with % inside the text is not supported")
    return text
