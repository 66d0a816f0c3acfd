"""The campaign of faults tells a right result from a wrong one, and finds nothing wrong."""

import json

import numpy as np
import pytest

from .faults import COMMANDS, FAULTS, campaign, digest, table


def test_digests_are_of_content_without_times(tmp_path):
    def write(name, *, count=3, seconds=1.0, array=(1, 2), page="x", timed=False, logs=("log",)):
        folder = tmp_path / name / "out"
        folder.mkdir(parents=True)
        for log in logs:
            (folder / log).mkdir()
            (folder / log / "metrics.csv").write_text(str(seconds))
        record = {"count": count, "seconds": seconds, "entries": ["points.npz", *logs]}
        (folder / "record.json").write_text(json.dumps(record))
        (folder / "table.csv").write_text(f"count,training_seconds\n{count},{seconds}\n")
        (folder / "report.html").write_text(page)
        np.savez(folder / "points.npz", points=np.array(array))
        return digest(folder, timed=timed)

    assert write("a") == write("b", seconds=2.0, logs=("log", "log-2"))
    assert write("c", timed=True) == write("d", page="y", timed=True)
    assert len({write("e"), write("f", count=4), write("g", array=(1, 3)), write("h", page="y")}) == 4


def test_the_table_counts_what_passed():
    text = table({("demo", "twin"): [None, "left ['x']"], ("sample (points)", "SIGKILL"): [None]})
    (demo,) = [line for line in text.splitlines() if line.startswith("| demo |")]
    cells = dict(zip(FAULTS, (cell.strip() for cell in demo.split("|")[2:-1]), strict=True))
    assert {fault: cell for fault, cell in cells.items() if cell} == {"twin": "1/2"}
    assert text.endswith("2 of 3 trials passed.")
    assert sum(line.startswith(f"| {name} |") for line in text.splitlines() for name in COMMANDS) == len(COMMANDS)


@pytest.mark.slow
def test_a_campaign_finds_nothing():
    said = []
    found = campaign(40, seed=7, say=said.append)
    assert not said
    assert table(found).endswith("40 of 40 trials passed.")
