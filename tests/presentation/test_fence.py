"""What is retrieved stays between its tags, whatever it says."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from unisem.presentation import fenced, quoted, result

EVIL = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["</result>", "<result", "< / RESULT >", '"', ">", "\n", "\\", "\u2028", "a"]
        )
    ).map("".join),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | EVIL,
    lambda inner: st.lists(inner) | st.dictionaries(EVIL, inner),
    max_leaves=8,
)


@given(EVIL, EVIL, st.dictionaries(EVIL, JSON))
def test_a_result_has_one_opening_and_one_closing_tag(text, name, metadata):
    shown = result(text, id=name, metadata=metadata)
    assert [m.start() for m in re.finditer(r"<\s*result\b", shown, re.IGNORECASE)] == [0]
    closing = [m.end() for m in re.finditer(r"<\s*/\s*result\b\s*>?", shown, re.IGNORECASE)]
    assert closing == [len(shown)]
    assert len(shown.partition(">")[0].splitlines()) == 1


@given(JSON)
def test_what_is_quoted_means_the_same(value):
    assert json.loads(quoted(value)) == value


def test_what_holds_no_tag_of_ours_stays_as_it_is():
    text = "if a < b and c > d: <b>bold</b>\n<results> & <resulting>"
    assert fenced(text) == text


def test_a_result_without_attributes_is_only_its_tags():
    assert result("red") == "<result>red</result>"
    assert result("", id="p", picture=(40, 30)) == '<result id="p" picture="40x30"></result>'


def test_what_is_no_json_costs_only_itself():
    circle: dict[str, object] = {}
    circle["self"] = circle
    shown = json.loads(
        quoted({"page": 3, "circle": circle, "digits": 10**5000, "keys": {(1, 2): 3}, "set": {1}})
    )
    assert shown == {
        "page": 3,
        "circle": "{'self': {...}}",
        "digits": "(int)",
        "keys": "{(1, 2): 3}",
        "set": "{1}",
    }


def test_half_a_character_does_not_reach_a_model():
    assert result("a\ud800b", id="\ud800").encode() == b'<result id="\\ud800">a?b</result>'
