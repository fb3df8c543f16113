"""`compare`: where our store and LlamaIndex's own part, and whether that is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.conformance.differences import Difference
from tests.conformance.outcomes import Outcome, Store


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tests of upstream, by what they say of our store.

    Attributes:
        store: Which of our stores.
        agreed: Passed.
        ahead: Passed, and LlamaIndex's own store fails.
        expected: Failed as listed, with the reasons.
        unexpected: Failed, not listed, and LlamaIndex's own store passes.
        vanished: Listed as failing, and passed.
        failing_anyway: Failed, and LlamaIndex's own store fails as well.
        used: How many of the tests that passed added to our store or searched it.
    """

    store: Store
    agreed: tuple[Outcome, ...]
    ahead: tuple[Outcome, ...]
    expected: tuple[tuple[Outcome, Difference], ...]
    unexpected: tuple[Outcome, ...]
    vanished: tuple[Difference, ...]
    failing_anyway: tuple[Outcome, ...]
    used: int

    @property
    def is_as_expected(self) -> bool:
        """Whether nothing is unexpected, nothing vanished, and our store was really used."""
        return bool(self.used) and not self.unexpected and not self.vanished


def compare(
    store: Store,
    stock: Mapping[str, Outcome],
    ours: Mapping[str, Outcome],
    differences: Sequence[Difference],
) -> Comparison:
    """Compare two runs of the same tests.

    A test that did not run with our store, for example as its file could not be collected, counts
    as failed.
    """
    listed = [difference for difference in differences if store in difference.stores]
    failed = [outcome for outcome in ours.values() if outcome.outcome == "failed"]
    failed += [
        Outcome(test, "failed", "did not run with our store", used=False)
        for test, outcome in stock.items()
        if test not in ours and outcome.outcome == "passed"
    ]
    passed = [outcome for outcome in ours.values() if outcome.outcome == "passed"]
    stock_failed = {test for test, outcome in stock.items() if outcome.outcome == "failed"}
    reasons = {
        outcome.test: difference
        for difference in listed
        for outcome in failed
        if difference.covers(outcome.test)
    }
    return Comparison(
        store=store,
        agreed=tuple(outcome for outcome in passed if outcome.test not in stock_failed),
        ahead=tuple(outcome for outcome in passed if outcome.test in stock_failed),
        expected=tuple(
            (outcome, reasons[outcome.test]) for outcome in failed if outcome.test in reasons
        ),
        unexpected=tuple(
            outcome
            for outcome in failed
            if outcome.test not in reasons and outcome.test not in stock_failed
        ),
        vanished=tuple(
            difference
            for difference in listed
            if not any(difference.covers(outcome.test) for outcome in failed)
            and any(difference.covers(outcome.test) for outcome in passed)
        ),
        failing_anyway=tuple(
            outcome
            for outcome in failed
            if outcome.test not in reasons and outcome.test in stock_failed
        ),
        used=sum(outcome.used for outcome in passed),
    )
