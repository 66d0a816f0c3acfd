"""What a record says of other folders is only where to look: nothing else is read, and nothing written, by it."""

import json
import os
import shutil

import numpy as np
import pytest

from manifoldflow.errors import DataError
from manifoldflow.files import MARKER, read_json, write_json
from manifoldflow.steps import evaluate_step, load_run, report_step


@pytest.fixture
def tree(demo, tmp_path):
    """A copy of the demo's folders that a test may spoil."""
    for name in ("models", "interpolations", "evaluation"):
        shutil.copytree(demo[0] / name, tmp_path / "tree" / name)
    return tmp_path / "tree"


def edit(path, change):
    content = read_json(path)
    change(content)
    write_json(path, content)


def test_a_tree_of_results_can_be_moved(tree, tmp_path):
    report_step(tree / "evaluation", tmp_path / "report")
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.parametrize("model", ["/etc", "", 5, None, ["x"]])
def test_a_recorded_path_is_one_seen_from_the_folder(tree, tmp_path, model):
    paths = tree / "interpolations" / "vmf"
    edit(paths / MARKER, lambda record: record["settings"].update(model=model))
    wanted = r"its record names .*; expected a path as seen from that" if isinstance(model, str) else "expected a text"
    with pytest.raises(DataError, match=f"interpolations/vmf.*: .*{wanted}"):
        evaluate_step([paths], tmp_path / "x")
    wanted = "expected a path as seen from that folder" if isinstance(model, str) else "settings.model: expected a text"
    with pytest.raises(DataError, match=wanted):
        report_step(tree / "evaluation", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_an_absolute_path_to_the_right_model_is_refused_too(tree, tmp_path):
    paths = tree / "interpolations" / "vmf"
    edit(paths / MARKER, lambda record: record["settings"].update(model=str(tree / "models" / "vmf")))
    with pytest.raises(DataError, match="expected a path as seen from that folder"):
        evaluate_step([paths], tmp_path / "x")


def test_a_recorded_path_that_leads_out_of_the_tree_is_refused(tree, tmp_path):
    """To a folder that this library did not write, to one of another command, and to another model."""
    paths, elsewhere = tree / "interpolations" / "vmf", tmp_path / "elsewhere"
    shutil.copytree(tree / "models" / "gaussian", elsewhere)
    for target, message in (
        (tmp_path, "expected a folder written by 'manifoldflow train', but it has no manifoldflow.json"),
        (tmp_path / "gone", "expected a folder written by 'manifoldflow train', but there is no such folder"),
        (tree / "evaluation", "expected a folder written by 'manifoldflow train', it is one of 'evaluate'"),
        (elsewhere, r"interpolations/vmf: was made with another model than .*elsewhere now is; interpolate again"),
    ):
        edit(paths / MARKER, lambda record, to=target: record["settings"].update(model=os.path.relpath(to, paths)))
        for step, source in ((evaluate_step, [paths]), (report_step, tree / "evaluation")):
            with pytest.raises(DataError, match=message):
                step(source, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_model_that_was_trained_again_is_another_one(tree, tmp_path):
    weights = tree / "models" / "vmf" / "flow.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match="was made with another model"):
        evaluate_step([tree / "interpolations" / "vmf"], tmp_path / "x")
    weights.unlink()
    with pytest.raises(DataError, match=r"flow\.safetensors: cannot be read \(No such file"):
        evaluate_step([tree / "interpolations" / "vmf"], tmp_path / "x")


def test_an_evaluation_names_its_interpolations_the_same_way(tree, tmp_path):
    edit(tree / "evaluation" / "evaluation.json", lambda r: r["settings"]["interpolations"].__setitem__(0, "/etc"))
    with pytest.raises(DataError, match=r"evaluation: its record names '/etc'; expected a path as seen"):
        report_step(tree / "evaluation", tmp_path / "x")


@pytest.mark.parametrize("name", ["../../../../escaped", "/tmp/escaped", "a/b", ".hidden", "", "..", "a\nb", None])
def test_figures_stay_in_their_folder(tree, tmp_path, name):
    """They are named after the models in evaluation.json."""
    edit(tree / "evaluation" / "evaluation.json", lambda result: result["models"][0].update(name=name))
    before = sorted(tmp_path.rglob("*"))
    wanted = "expected a text" if name is None else r"expected a name of letters, digits, '\.', '\+' and '-'"
    with pytest.raises(DataError, match=f"{wanted}, got"):
        report_step(tree / "evaluation", tmp_path / "deep" / "report")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_method_that_is_a_path_is_no_method(tree, tmp_path):
    paths = tree / "interpolations" / "vmf"
    edit(paths / MARKER, lambda record: record["settings"].update(methods=["../../../secret"]))
    with pytest.raises(DataError, match=r"unknown method '\.\./\.\./\.\./secret'"):
        evaluate_step([paths], tmp_path / "x")


def test_a_model_that_names_other_data_is_refused(tree, tmp_path):
    """The data's path is only where to look, too: its content has to be what the model was trained on."""
    model = tree / "models" / "vmf"
    other = tmp_path / "other.npz"
    np.savez(other, images=np.zeros((50, 8, 8), np.uint8))
    edit(model / MARKER, lambda record: record["settings"]["data"].update(source=str(other)))
    with pytest.raises(DataError, match=r"data: .*other\.npz is not what .* was trained on; train again"):
        load_run(model).load_data()


def test_records_of_depth_are_refused(tree):
    (tree / "models" / "vmf" / MARKER).write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"manifoldflow\.json: expected JSON, but it does not parse"):
        load_run(tree / "models" / "vmf")


def test_no_text_of_an_evaluation_becomes_markup(tree, tmp_path):
    """Wherever a page shows a base's or a path's name: in tables, figures' captions, attributes, embedded data."""
    payload = "</script></style>-->'\\\"><svg onload=alert(1)>"
    path = tree / "evaluation" / "evaluation.json"
    text = path.read_text()
    for name in ("von Mises-Fisher", "slerp (geodesic)", "digits"):
        assert f'"{name}"' in text
        text = text.replace(f'"{name}"', f'"{name}{payload}"')
    write_json(path, json.loads(text))
    report_step(tree / "evaluation", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "svg onload" in page
    assert "<svg onload" not in page
    assert page.count("</style>") == page.count("<style")
    assert page.count("</script>") == page.count("<script")
