"""Records: what is written is read back, and each damage is refused with its place and what was expected."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from manifoldflow.files.typed_json import Record


@dataclass(frozen=True)
class Part(Record):
    name: str
    values: tuple[float, ...]
    pair: tuple[int, str]


@dataclass(frozen=True)
class Whole(Record):
    parts: tuple[Part, ...]
    options: dict[str, Any]
    counts: dict[str, int]
    limit: float | None
    flag: bool = False


WHOLE = Whole((Part("a", (1.0, 2.5), (3, "x")), Part("b", (), (4, "y"))), {"k": [1, None]}, {"n": 2}, None, True)


def test_what_is_written_is_read_back():
    stored = json.loads(json.dumps(WHOLE.to_json()))
    assert stored["parts"][0] == {"name": "a", "values": [1.0, 2.5], "pair": [3, "x"]}
    assert Whole.from_json(stored) == WHOLE
    assert WHOLE["parts"] == stored["parts"]
    assert WHOLE["limit"] is None
    with pytest.raises(KeyError, match="unknown"):
        WHOLE["unknown"]


def test_integers_are_numbers_unknown_keys_are_ignored_and_defaults_apply():
    stored = {**WHOLE.to_json(), "limit": 3, "later": "version"}
    del stored["flag"]
    read = Whole.from_json(stored)
    assert (type(read.limit), read.limit, read.flag) == (float, 3.0, False)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["limit"], "3", r"limit: expected a finite number or null, got '3'"),
        (["limit"], float("nan"), "limit: expected a finite number or null, got nan"),
        (["flag"], 1, "flag: expected true or false, got 1"),
        (["counts", "n"], 2.5, r"counts\.n: expected an integer, got 2\.5"),
        (["counts", "n"], True, r"counts\.n: expected an integer, got True"),
        (["counts"], [], r"counts: expected dict\[str, int\], got \[\]"),
        (["parts"], None, "parts: expected tuple"),
        (["parts", 1], 5, r"parts\[1\]: expected an object, got 5"),
        (["parts", 0, "values", 1], None, r"parts\[0\]\.values\[1\]: expected a finite number, got None"),
        (["parts", 0, "pair"], [3], r"parts\[0\]\.pair: expected tuple\[int, str\]"),
        (["parts", 0, "pair", 1], 4, r"parts\[0\]\.pair\[1\]: expected a text, got 4"),
    ],
)
def test_a_field_of_another_kind_is_refused(keys, value, message):
    stored = inner = WHOLE.to_json()
    assert Whole.from_json(stored) == WHOLE
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    with pytest.raises(ValueError, match=message):
        Whole.from_json(stored)


def test_a_missing_field_is_refused():
    stored = WHOLE.to_json()
    del stored["parts"][1]["name"]
    with pytest.raises(ValueError, match=r"parts\[1\]\.name: missing"):
        Whole.from_json(stored)
    with pytest.raises(ValueError, match="content: expected an object, got None"):
        Whole.from_json(None)
