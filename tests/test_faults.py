"""The campaign of faults tells a right result from a wrong one, and its table counts what passed."""

import json

import numpy as np

from .faults import COMMANDS, FAULTS, digest, table


def test_digests_are_of_content_without_times_and_places(tmp_path):
    def write(name, *, count=3, seconds=1.0, array=(1, 2)):
        folder = tmp_path / name / "out"
        (folder / "log").mkdir(parents=True)
        (folder / "log" / "metrics.csv").write_text(str(seconds))
        (folder / "record.json").write_text(json.dumps({"count": count, "seconds": seconds, "at": str(folder)}))
        np.savez(folder / "points.npz", points=np.array(array))
        return digest(folder, tmp_path / name)

    assert write("a") == write("b", seconds=2.0)
    assert len({write("c"), write("d", count=4), write("e", array=(1, 3))}) == 3


def test_the_table_counts_what_passed():
    text = table({("demo", "twin"): [None, "left ['x']"], ("sample (points)", "SIGKILL"): [None]})
    (demo,) = [line for line in text.splitlines() if line.startswith("| demo |")]
    assert [cell.strip() for cell in demo.split("|")[2:-1]] == [""] * (len(FAULTS) - 1) + ["1/2"]
    assert text.endswith("2 of 3 trials passed.")
    assert sum(line.startswith(f"| {name} |") for line in text.splitlines() for name in COMMANDS) == len(COMMANDS)
