"""Files and folders are written whole or not at all, and never over something else."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from manifoldflow.errors import DataError
from manifoldflow.files import (
    MARKER,
    atomic_path,
    check_recorded,
    check_replaceable,
    damaged,
    new_folder,
    read_json,
    read_npz,
    write_json,
)


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail_half_way():
        with atomic_path(path) as temporary:
            temporary.write_text("{")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_nan_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_unreadable_json_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a\.json: cannot be read \(No such file"):
        read_json(tmp_path / "a.json")
    for damage in ("{", '{"a": NaN}', "[-Infinity]"):
        (tmp_path / "a.json").write_text(damage)
        with pytest.raises(DataError, match=r"a\.json: expected JSON"):
            read_json(tmp_path / "a.json")


def test_no_flipped_bit_gives_another_content(tmp_path):
    path, content = tmp_path / "a.json", {"a": [1.5, None], "b": {"10": "\u00e9", "9": (True, 3)}, "c": 1}
    write_json(path, content)
    written = path.read_bytes()
    expected = read_json(path)
    assert expected == {**content, "b": {"10": "\u00e9", "9": [True, 3]}}
    refused = []
    for at in range(8 * len(written)):
        changed = bytearray(written)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        try:
            found = read_json(path)
        except DataError as error:
            refused.append(str(error))
        else:  # the seal's own name, which older files lack
            assert {name: value for name, value in found.items() if name in content} == expected
    assert len(refused) > 0.9 * 8 * len(written)
    assert all(str(path) in said and " again" in said for said in refused)


def test_what_is_written_again_has_a_new_seal(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1, 2: "b"})
    content = json.loads((tmp_path / "a.json").read_text())
    write_json(tmp_path / "a.json", {**content, "a": 2})
    assert read_json(tmp_path / "a.json") == {"a": 2, "2": "b"}
    (tmp_path / "a.json").write_text(json.dumps({**content, "a": 2}))
    with pytest.raises(DataError, match=r"a\.json: damaged: its content is not what its seal was made of; copy it"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"a": 2}')
    assert read_json(tmp_path / "a.json") == {"a": 2}


def test_a_table_is_as_the_record_of_its_folder_says(tmp_path):
    with new_folder(tmp_path / "out", "train", {}) as folder:
        (folder / "log").mkdir()
        (folder / "log" / "metrics.csv").write_text("epoch\n1\n2\n")
    check_recorded(tmp_path / "out", "log/metrics.csv")
    table = tmp_path / "out" / "log" / "metrics.csv"
    table.write_text("epoch\n1\n")
    with pytest.raises(DataError, match=r"metrics\.csv: damaged: its SHA-256 is not the one recorded"):
        check_recorded(tmp_path / "out", "log/metrics.csv")
    table.unlink()
    with pytest.raises(DataError, match=r"metrics\.csv: cannot be read"):
        check_recorded(tmp_path / "out", "log/metrics.csv")
    record = read_json(tmp_path / "out" / MARKER)
    write_json(tmp_path / "out" / MARKER, {name: value for name, value in record.items() if name != "sums"})
    check_recorded(tmp_path / "out", "log/metrics.csv")


def test_new_folder_appears_only_when_done(tmp_path):
    out = tmp_path / "deep" / "out"
    with new_folder(out, "train", {"seed": 1}) as folder:
        (folder / "x").write_text("x")
        assert not out.exists()
    assert (out / "x").read_text() == "x"
    assert read_json(out / MARKER) == {"command": "train", "entries": [MARKER, "x"], "sums": {}, "seed": 1}
    assert list(out.parent.iterdir()) == [out]


def test_failure_and_interruption_leave_nothing(tmp_path):
    def fail_with(error):
        with new_folder(tmp_path / "out", "train", {}) as folder:
            (folder / "x").write_text("x")
            raise error

    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            fail_with(error)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_output_of_the_same_command_is_replaced_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    for content in ("1", "2"):
        with new_folder(out, "train", {}) as folder:
            (folder / content).write_text(content)
    assert sorted(p.name for p in out.iterdir()) == ["2", MARKER]
    with (
        pytest.raises(DataError, match="already holds the output of 'manifoldflow train'"),
        new_folder(out, "demo", {}),
    ):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("...")
    with (
        pytest.raises(DataError, match="files that manifoldflow did not write"),
        new_folder(tmp_path / "mine", "x", {}),
    ):
        pass
    with (
        pytest.raises(DataError, match="exists and is not a folder"),
        new_folder(tmp_path / "mine/thesis.tex", "x", {}),
    ):
        pass
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"), new_folder(tmp_path / "file" / "out", "x", {}):
        pass


def test_what_was_added_to_an_output_is_never_deleted(tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        with new_folder(out, "train", {}) as folder:
            (folder / "model").write_text("x")
    (out / "notes.txt").write_text("mine")
    with (
        pytest.raises(DataError, match=r"more than 'manifoldflow train' wrote there \(notes.txt\)"),
        new_folder(out, "train", {}),
    ):
        pass
    assert (out / "notes.txt").read_text() == "mine"


def test_the_old_output_survives_a_failing_replacement(tmp_path, monkeypatch):
    out = tmp_path / "out"
    with new_folder(out, "train", {}) as folder:
        (folder / "model").write_text("old")
    replace = os.replace

    def failing(source, target):
        if Path(target) == out and ".partial-" in str(source):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)

    def write_again():
        with new_folder(out, "train", {}) as folder:
            (folder / "model").write_text("new")

    with pytest.raises(OSError, match="No space left"):
        write_again()
    assert (out / "model").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_parents_made_for_a_failed_output_are_removed(tmp_path):
    def fail():
        with new_folder(tmp_path / "a" / "b" / "out", "train", {}):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("marker", ["[]", "5", '{"command": "train"}'])
def test_a_marker_of_another_kind_protects_the_folder(tmp_path, marker):
    (tmp_path / MARKER).write_text(marker)
    with pytest.raises(DataError, match="files that manifoldflow did not write"), new_folder(tmp_path, "train", {}):
        pass


def test_files_have_the_usual_permissions(tmp_path):
    write_json(tmp_path / "a.json", 1)
    (tmp_path / "b.json").write_text("1")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b.json").stat().st_mode


def test_damaged_content_is_named_whatever_goes_wrong():
    def fail(error):
        with damaged("x.json"):
            raise error

    for error in (KeyError("a"), IndexError("b"), TypeError("c"), ZeroDivisionError("d"), AttributeError("e")):
        with pytest.raises(DataError, match=r"x\.json: damaged or not as this version writes it"):
            fail(error)
    with pytest.raises(DataError, match="as it is"):
        fail(DataError("as it is"))


def test_a_second_run_of_the_same_output_is_refused_and_names_the_first(tmp_path):
    out = tmp_path / "deep" / "out"
    with new_folder(out, "test", {}) as folder:
        (folder / "a").write_text("first")
        code = f"from manifoldflow.files import new_folder\nwith new_folder({str(out)!r}, 'test', {{}}): pass"
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"{out} is being written by process {os.getpid()} on {socket.gethostname()}; wait" in second.stderr
    assert (out / "a").read_text() == "first"
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not (out / "a").exists()


KILLED = """
import os, pathlib, signal, sys
from manifoldflow.files import atomic_path, new_folder, write_json
out = pathlib.Path(sys.argv[1])
with atomic_path(out.parent / "a.json"), new_folder(out, "test", {}) as folder:
    (folder / "a").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    out = tmp_path / "out"
    with new_folder(out, "test", {}) as folder:
        (folder / "a").write_text("whole")
    assert subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 4  # the output, a lock, a partial folder and a temporary file
    with atomic_path(tmp_path / "a.json") as mine:
        write_json(tmp_path / "a.json", 1)  # leaves alone what a living process holds, be it this one
        assert mine.exists()
        mine.write_text("2")
    with new_folder(out, "test", {}) as folder:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".out.lock", folder.name, "a.json", "out"])
        (folder / "b").write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "out"]
    assert sorted(path.name for path in out.iterdir()) == ["b", MARKER]


def test_an_output_that_was_moved_aside_when_the_run_was_killed_is_moved_back(tmp_path):
    out = tmp_path / "out"
    with new_folder(out, "test", {}) as folder:
        (folder / "a").write_text("old")
    out.rename(tmp_path / ".out.replaced-12345678")
    with pytest.raises(RuntimeError, match="stop"), new_folder(out, "test", {}):
        raise RuntimeError("stop")
    assert (out / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_one_line_with_what_is_free_and_what_to_do(tmp_path):
    def fill(folder):
        with open("/dev/full", "w") as full:
            full.write("x")

    def write(task):
        with new_folder(tmp_path / "out", "test", {}) as folder:
            task(folder)

    write(lambda folder: (folder / "a").write_text("x"))
    with pytest.raises(
        OSError, match=r"cannot be written \(No space left on device: [\d,.]+ MB free\); free some"
    ) as e:
        write(fill)
    assert str(e.value).endswith("run the same command again; nothing is lost")
    assert "\n" not in str(e.value)
    assert (tmp_path / "out" / "a").is_file()


def test_what_is_not_a_file_is_refused_without_waiting(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, 1)
    assert read_json(path) == 1
    path.unlink()
    os.mkfifo(path)
    for read in (read_json, read_npz):
        with pytest.raises(DataError, match=r"a\.json: expected a file, found a named pipe"):
            read(path)
        with pytest.raises(DataError, match="expected a file, found a folder"):
            read(tmp_path)
        with pytest.raises(DataError, match=r"b\.json: cannot be read \(No such file or directory\); check the path"):
            read(tmp_path / "b.json")


def test_a_damaged_marker_names_what_to_remove(tmp_path):
    out = tmp_path / "out"
    with new_folder(out, "test", {}) as folder:
        (folder / "a").write_text("x")
    check_replaceable(out, "test")
    (out / MARKER).write_text('{"command": "te')
    with pytest.raises(DataError, match=rf"^--out: .*expected JSON, but .*; remove {out} to begin anew$"):
        check_replaceable(out, "test")
