"""The mutants are valid changes of one line, drawn by seed; scores count what was judged, and never praise nothing."""

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

from . import mutate
from .mutants import candidates, is_other_program, sample_mutants
from .mutate import Reach, find_reach, judge, meets, score_line
from .pages import ROOT

SOURCE = '''
def area(radius, *, low=0.0):
    """The area π of 1 disc: 3 < 4."""
    if radius < low or not radius:
        raise ValueError("radius: expected at least " + "low")
    wide = (radius.clamp_min(1)) * radius
    return 3.14 * max(torch.sub(wide, radius), -low)
'''


def changed(kind):
    return {
        mutant.apply(SOURCE).splitlines()[mutant.line - 1].strip()
        for mutant in candidates(SOURCE)
        if mutant.kind == kind and is_other_program(SOURCE, mutant)
    }


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("comparison", {"if radius <= low or not radius:", "if radius < low and not radius:"}),
        (
            "sign",
            {
                "if radius < low or radius:",
                "wide = (radius.clamp_min(1)) / radius",
                "return 3.14 / max(torch.sub(wide, radius), -low)",
                "return 3.14 * max(torch.sub(wide, radius), low)",
            },
        ),
        ("constant", {"def area(radius, *, low=1.0):", "return 4.71 * max(torch.sub(wide, radius), -low)"}),
        ("off by one", {"wide = (radius.clamp_min(2)) * radius", "wide = (radius.clamp_min(0)) * radius"}),
        ("dropped clamp", {"wide = (radius) * radius", "return 3.14 * torch.sub(wide, radius)"}),
        ("swapped arguments", {"return 3.14 * max(torch.sub(radius, wide), -low)"}),
    ],
)
def test_every_kind_of_change(kind, lines):
    """Docstrings, messages and annotations stay; letters of two bytes before a change do not shift it."""
    assert changed(kind) == lines


def test_mutants_of_a_room_are_programs_that_differ_in_one_line():
    mutants = sample_mutants(ROOT, "charts", 25, seed=3)
    assert len(set(mutants)) == 25
    assert mutants == sample_mutants(ROOT, "charts", 25, seed=3)
    assert mutants[:5] == sample_mutants(ROOT, "charts", 5, seed=3)
    assert mutants != sample_mutants(ROOT, "charts", 25, seed=4)
    for mutant in mutants:
        source = (ROOT / mutant.file).read_text()
        ast.parse(mutant.apply(source))
        before, after = source.splitlines(), mutant.apply(source).splitlines()
        assert [i for i, pair in enumerate(zip(before, after), 1) if pair[0] != pair[1]] == [mutant.line]
        assert len(before) == len(after)


def test_the_file_of_the_same_name_comes_first_and_then_what_is_fast():
    seconds = {
        "tests/test_b.py::slow": 9.0,
        "tests/test_a.py::x": 3.0,
        "tests/test_c.py::y": 1.0,
        "tests/test_a.py::z": 2.0,
    }
    mutant = candidates("x = 1\ny = 2\n", Path("manifoldflow/b.py"))[0]
    reach = Reach(seconds, {"manifoldflow/b.py": {1: list(seconds), 2: []}})
    order = ["tests/test_b.py::slow", "tests/test_c.py::y", "tests/test_a.py::z", "tests/test_a.py::x"]
    assert reach.tests(mutant) == order
    reach.lines["manifoldflow/b.py"] = {1: [""], 2: ["tests/test_c.py::y"]}  # on import: whoever reaches the file
    assert reach.tests(mutant) == ["tests/test_c.py::y"]


@pytest.fixture
def small(tmp_path):
    """A repository of one module and its tests."""
    for name, text in {
        "manifoldflow/__init__.py": "",
        "manifoldflow/room/__init__.py": "",
        "manifoldflow/room/sums.py": "def double(x):\n    return x + x\n\n\ndef unused(x):\n    return x - 1\n",
        "tests/__init__.py": "",
        "tests/room/__init__.py": "",
        "tests/room/test_sums.py": "from manifoldflow.room.sums import double\n\n\n"
        "def test_double():\n    assert double(2) == 4\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_survived_and_undecided(small, monkeypatch):
    monkeypatch.chdir(small)
    monkeypatch.setenv("PYTHONPATH", "")
    file = Path("manifoldflow/room/sums.py")
    source = (small / file).read_text()
    test = "tests/room/test_sums.py::test_double"
    reach = Reach({test: 0.01}, {str(file): {2: [test]}})
    wrong, *_, unseen = [mutant for mutant in candidates(source, file) if mutant.kind == "sign"]
    assert judge(small, wrong, reach, 60, small / "log") == "killed"
    assert judge(small, unseen, reach, 60, small / "log") == "survived"  # no test reaches it
    slow = Reach({test: 100.0}, reach.lines)
    assert judge(small, wrong, slow, 60, small / "log") == "undecided"
    assert (small / file).read_text() == source


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_is_kept_of_the_reach_is_found_again_where_a_file_has_changed(small, monkeypatch):
    monkeypatch.chdir(small)
    monkeypatch.setenv("PYTHONPATH", "")
    kept, runs = small / "reach.json", []

    def count(*arguments):
        runs.append(arguments)
        return fork(*arguments)

    fork = mutate._fork
    monkeypatch.setattr(mutate, "_fork", count)
    file, sums, test = small / "tests/room/test_more.py", "manifoldflow/room/sums.py", "tests/room/test_sums.py"
    first = find_reach(small, "room", small, kept)
    assert first.lines[sums][2] == [f"{test}::test_double"]
    assert find_reach(small, "room", small, kept) == first
    assert len(runs) == 1
    file.write_text((small / test).read_text().replace("double", "unused").replace("4", "1"))
    more = find_reach(small, "room", small, kept)
    assert more.lines[sums][2] == first.lines[sums][2]
    assert more.lines[sums][6] == ["tests/room/test_more.py::test_unused"]
    assert more.seconds.items() > first.seconds.items()
    assert len(runs) == 2
    wrong = small / "tests/room/test_wrong.py"
    wrong.write_text("def test_wrong():\n    assert 1 == 2\n")
    file.write_text(file.read_text() + "\n")
    for count in (3, 4):  # what passed before the failure is kept
        with pytest.raises(SystemExit, match="the tests of room fail unchanged"):
            find_reach(small, "room", small, kept)
        assert len(runs) == count
    assert json.loads(kept.read_text())["tests"].keys() == {test, "tests/room/test_more.py"}
    wrong.unlink()
    assert find_reach(small, "room", small, kept).lines == more.lines
    assert len(runs) == 4
    (small / sums).write_text("# One line more.\n" + (small / sums).read_text())
    assert find_reach(small, "room", small, kept).lines[sums][3] == first.lines[sums][2]


def test_a_score_of_nothing_is_none():
    assert "none judged" in score_line("room", Counter(undecided=9), 1.0)
    assert score_line("room", Counter(killed=9, survived=1, undecided=2), 5.0) == "| room | 9 | 1 | 2 | 90 % | 5 s |"
    assert meets(Counter(undecided=9), 0, 0) == "only 0 mutants were judged, fewer than --least 0: no score"
    assert "fewer than --least 10" in meets(Counter(killed=9), 90, 10)
    assert meets(Counter(killed=9, survived=1), 90, 10) is None
    assert meets(Counter(killed=8, survived=2), 90, 10) == "8 of 10 killed, and the goal is 90 %"
