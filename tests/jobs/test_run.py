"""Jobs in one process: merged in order, resumed, refused with other settings, shards missing or damaged."""

import errno
import json

import numpy as np
import pytest
import torch

from manifoldflow.errors import DataError
from manifoldflow.files import unfinished, write_json
from manifoldflow.jobs import RowSolver, predict
from manifoldflow.steps import solve_step


@pytest.fixture
def ends(vmf, tmp_path):
    return vmf.ends(tmp_path / "ends.npz")


def run(vmf, ends, out, **settings):
    settings = {"method": "typical-bridge", "steps": 3, "chunk": 7, **settings}
    return solve_step(vmf.folder, ends, out, progress=False, **settings)


def arrays(folder):
    return {path.name: np.load(path) for path in folder.glob("*.npy")}


def stop_after(monkeypatch, blocks, error=KeyboardInterrupt):
    """Let the job fail once it has written so many blocks."""
    write, left = predict.write_shard, [blocks]

    def failing(*arguments):
        if not left[0]:
            raise error
        left[0] -= 1
        write(*arguments)

    monkeypatch.setattr(predict, "write_shard", failing)


def solved_rows(monkeypatch):
    """A list that grows by the rows that are solved from now on."""
    rows, solve = [], RowSolver.__call__

    def recording(self, index, start, end):
        rows.extend(index.tolist())
        return solve(self, index, start, end)

    monkeypatch.setattr(RowSolver, "__call__", recording)
    return rows


def test_rows_are_merged_in_order(vmf, ends, tmp_path):
    before = torch.get_rng_state()
    record = run(vmf, ends, tmp_path / "out")
    assert torch.equal(torch.get_rng_state(), before)  # the caller's generator is left alone
    assert record["result"]["rows"] == 40
    assert record["result"]["failed"] == 0
    found = arrays(tmp_path / "out")
    np.testing.assert_allclose(found["points.npy"][:, 0], vmf.start, atol=1e-6)
    np.testing.assert_allclose(found["points.npy"][:, -1], vmf.end, atol=1e-6)
    assert found["images.npy"].shape == (40, 3, 1, 4, 4)
    assert not found["failed.npy"].any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ends.npz", "out"]
    assert not (tmp_path / "out" / "shards").exists()
    whole = run(vmf, ends, tmp_path / "whole", chunk=40)
    assert whole["result"] == record["result"]
    np.testing.assert_array_equal(arrays(tmp_path / "whole")["points.npy"], found["points.npy"])


def test_an_interrupted_job_goes_on_where_it_was(vmf, ends, tmp_path, monkeypatch):
    run(vmf, ends, tmp_path / "whole", store=("points", "values"))
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt, match="run the same command again to go on"):
            run(vmf, ends, out, store=("points", "values"))
    assert not out.exists()
    shards = unfinished(out) / "shards"
    assert sorted(path.name for path in shards.iterdir()) == [
        "part-000000000-000000006.npz",
        "part-000000007-000000013.npz",
        "part-000000014-000000020.npz",
    ]
    (shards / "part-000000000-000000006.npz").unlink()
    truncated = shards / "part-000000007-000000013.npz"
    truncated.write_bytes(truncated.read_bytes()[:-30])
    rows = solved_rows(monkeypatch)
    record = run(vmf, ends, out, store=("points", "values"))
    assert sorted(rows) == [*range(14), *range(21, 40)]
    assert (
        record["result"]["mean_typicality"]
        == json.loads((tmp_path / "whole" / "manifoldflow.json").read_text())["result"]["mean_typicality"]
    )
    whole, found = arrays(tmp_path / "whole"), arrays(out)
    assert whole.keys() == found.keys() >= {"points.npy", "bpd.npy", "typicality.npy", "pixel_length.npy"}
    for name, array in whole.items():
        np.testing.assert_array_equal(array, found[name], err_msg=name)
    assert not unfinished(out).exists()


def test_a_shard_with_a_flipped_bit_is_found_and_computed_anew(vmf, ends, tmp_path, monkeypatch):
    run(vmf, ends, tmp_path / "whole")
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run(vmf, ends, out)
    shard = unfinished(out) / "shards" / "part-000000007-000000013.npz"
    content = bytearray(shard.read_bytes())
    content[300] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"part-000000007-000000013\.npz: damaged .* and removed; run the same"):
        run(vmf, ends, out)
    rows = solved_rows(monkeypatch)
    run(vmf, ends, out)
    assert rows == list(range(7, 14))
    for name, array in arrays(tmp_path / "whole").items():
        np.testing.assert_array_equal(array, arrays(out)[name], err_msg=name)


def test_other_settings_are_refused_by_name_and_nothing_is_lost(vmf, ends, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            run(vmf, ends, out)
    fewer = vmf.ends(tmp_path / "fewer.npz", rows=30)
    for settings, name in (
        ({"steps": 4}, "steps"),
        ({"chunk": 8}, "chunk"),
        ({"seed": 1}, "seed"),
        ({"method": "geodesic"}, "method"),
        ({"options": {"spread": 0.1}}, "options"),
        ({"store": ("points",)}, "store"),
        ({"ends": fewer}, "ends"),
    ):
        with pytest.raises(DataError, match=f"^{name}: .* has an unfinished run with .*; give what it had, or remove"):
            run(vmf, **{"ends": ends, "out": out, **settings})
    assert len(list((unfinished(out) / "shards").iterdir())) == 2
    record = run(vmf, ends, out)
    with pytest.raises(DataError, match=r"^steps: .* is the output with 3, got 4; choose another folder or remove"):
        run(vmf, ends, out, steps=4)
    rows = solved_rows(monkeypatch)
    assert run(vmf, ends, out) == record
    assert rows == []


def test_a_full_disk_keeps_what_is_finished(vmf, ends, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, 4, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(OSError, match="No space left"):
            run(vmf, ends, out)
    rows = solved_rows(monkeypatch)
    run(vmf, ends, out)
    assert rows == list(range(28, 40))


def test_a_kill_after_merging_solves_nothing_again(vmf, ends, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("manifoldflow.jobs.run.remove_shards", lambda folder: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(vmf, ends, out)
    assert not out.exists()
    rows = solved_rows(monkeypatch)
    assert run(vmf, ends, out)["result"]["rows"] == 40
    assert rows == []


def test_a_kill_in_the_middle_of_merging_leaves_nothing_behind(vmf, ends, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("manifoldflow.jobs.run.merge", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(vmf, ends, out)
    (unfinished(out) / ".points.npy.k2j3.npy").write_bytes(b"half")  # as SIGKILL would leave it
    rows = solved_rows(monkeypatch)
    run(vmf, ends, out)
    assert rows == []
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_finished_output_that_was_tampered_with_is_named(vmf, ends, tmp_path):
    out = tmp_path / "out"
    run(vmf, ends, out)
    marker = out / "manifoldflow.json"
    record = json.loads(marker.read_text())
    for damage in ({"entries": 3}, {"result": None}):
        write_json(marker, {**record, **damage})
        with pytest.raises(DataError, match=r"damaged|lacks its result"):
            run(vmf, ends, out)
    write_json(marker, record)
    summary = (out / "summary.json").read_text()
    (out / "summary.json").write_text(summary.replace('"rows": ', '"rows": 1'))
    with pytest.raises(DataError, match=r"summary\.json: damaged.*; remove .* to compute it anew"):
        run(vmf, ends, out)
    (out / "summary.json").write_text(summary)
    (out / "points.npy").unlink()
    with pytest.raises(DataError, match=r"lacks points\.npy; remove it to compute it anew"):
        run(vmf, ends, out)


def test_failed_rows_are_listed(vmf, tmp_path):
    start = vmf.start.clone()
    start[11, 3] = np.nan
    np.savez(tmp_path / "ends.npz", start=start.numpy(), end=vmf.end.numpy())
    record = run(vmf, tmp_path / "ends.npz", tmp_path / "out", method="matched", store=("images", "values"))
    assert record["result"]["failed"] == 1
    assert np.isfinite(record["result"]["mean_bpd"]).all()
    (failed,) = json.loads((tmp_path / "out" / "summary.json").read_text())["failed"]
    assert failed["row"] == 11
    assert "finite coordinates, got NaN or infinity; remove it" in failed["reason"]
    found = arrays(tmp_path / "out")
    assert np.flatnonzero(found["failed.npy"]).tolist() == [11]
    assert np.flatnonzero(np.isnan(found["bpd.npy"]).any(1)).tolist() == [11]
    assert "points.npy" not in found


def test_a_folder_of_something_else_is_left_alone(vmf, ends, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("")
    with pytest.raises(DataError, match="already holds files that manifoldflow did not write"):
        run(vmf, ends, out)
    assert (out / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chunk": 0}, "chunk: expected at least 1 row, got 0"),
        ({"store": ()}, "store: expected some of points, images, values, got none"),
        ({"store": ("pictures",)}, "store: expected some of points, images, values, got pictures"),
        ({"extractor": "classifier"}, "features: they are stored with the values"),
        ({"extractor": "vgg", "store": ("values",)}, "features: expected 'classifier' or an Extractor, got 'vgg'"),
        ({"ends": "wide.npz"}, r"expected points of shape \(17,\) as the model has, got \(3,\)"),
        ({"ends": "images.npz"}, r"expected images of shape \(1, 4, 4\) as the model has, got \(3, 4, 4\)"),
    ],
)
def test_wrong_input_writes_nothing(vmf, ends, tmp_path, settings, message):
    wide, images = np.zeros((40, 3), np.float32), np.zeros((40, 3, 4, 4), np.uint8)
    np.savez(tmp_path / "wide.npz", start=wide, end=wide)
    np.savez(tmp_path / "images.npz", start=images, end=images)
    file = tmp_path / settings["ends"] if "ends" in settings else ends
    with pytest.raises(DataError, match=message):
        run(vmf, **{**settings, "ends": file, "out": tmp_path / "new" / "out"})
    assert not (tmp_path / "new").exists()
