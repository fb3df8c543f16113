import json
from typing import Any

import pytest

from unisem.common.json_text import from_json, to_json

VALUES = [2**63, -(2**63) - 1, 2**64, 2**999, -(2**999), 1e16, 1e300, 5e-324, -0.0, 0.1, True, None]
VALUES += ["é\u2028\x7f\x01", "1e16", [[{}]], [2**70, {"deep": [2**64, 1.0]}], {"": {"": []}}]


@pytest.mark.parametrize("value", VALUES)
def test_json_is_read_back_as_it_was(value: Any) -> None:
    text = to_json({"k": value})
    for read in (from_json(text), json.loads(text)):
        assert repr(read) == repr({"k": value})


def test_what_another_writer_wrote_is_read_as_it_reads_it() -> None:
    for text in ('{"a": 1.50, "b": 1E+16}', '{"a":[1 ,2],\n"a":3}', '{"\\u00e9":"\\/"}', "{ }"):
        assert repr(from_json(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '{"a":1', '{"a":1}{}', '{"a":"\\ud800"}'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"column|object"):
        from_json(text)
