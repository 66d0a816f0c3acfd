"""The experiment: a tiny grid from nothing to tables, gone on with, refused, and its tables from made-up results."""

import json
import shutil

import pytest

from manifoldflow.errors import DataError
from manifoldflow.evaluation import Extractor
from manifoldflow.experiments import ExperimentSettings, run_experiment
from manifoldflow.experiments.pinf.tables import experiment_findings, experiment_tables, tables_to_markdown
from manifoldflow.steps import DataChoice
from manifoldflow.training import TrainSettings

from ..evaluations import evaluation, model, profile, row

TINY = ExperimentSettings(
    DataChoice("digits"),
    priors=("gaussian", "vmf-1", "vmf-2"),
    seeds=1,
    levels=1,
    steps=1,
    hidden=8,
    training=TrainSettings(epochs=1, batch_size=128, checkpoint_every=500),
    pairs=64,
)
PIXELS = Extractor("corner of each image", lambda x: x.flatten(1)[:, 20:44], 24)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    out = tmp_path_factory.mktemp("experiment") / "out"
    return out, run_experiment(out, TINY, extractor=PIXELS, progress=False)


def test_every_prior_and_path_has_a_row_and_the_files_agree(grid):
    out, tables = grid
    assert [row["prior"] for row in tables["models"]] == ["gaussian", "vmf-1", "vmf-2"]
    assert [(row["prior"], row["path"]) for row in tables["paths"]] == [
        ("gaussian", "linear"),
        ("gaussian", "norm-corrected"),
        ("gaussian", "slerp"),
        ("gaussian", "matched"),
        ("vmf-1", "slerp (geodesic)"),
        ("vmf-1", "matched"),
        ("vmf-2", "slerp (geodesic)"),
        ("vmf-2", "matched"),
    ]
    assert {row["base"] for row in tables["models"]} == {
        "Gaussian",
        "von Mises-Fisher (κ\u00a0=\u00a01\u00a0d)",
        "von Mises-Fisher (κ\u00a0=\u00a02\u00a0d)",
    }
    for one in tables["series"]:
        assert one["nearer_end"][0]["mean"] == pytest.approx(0, abs=1e-6)
        assert len(one["z_score"]) == len(one["times"]) == 11
        assert len(one["pixel_speed"]) == 10
    assert json.loads((out / "results.json").read_text())["paths"] == tables["paths"]
    assert (out / "tables.md").read_text() == tables_to_markdown(tables)
    assert len((out / "tables.csv").read_text().splitlines()) == 1 + len(tables["paths"])
    assert {path.name for path in out.glob("*.png")} == {
        "typicality.png",
        "speed.png",
        "nearer-end.png",
        "nearest-training.png",
    }


def test_going_on_redoes_only_what_is_missing(grid, tmp_path):
    out, tables = grid
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    shutil.rmtree(copy / "interpolations" / "vmf-2-seed0")
    shutil.rmtree(copy / "evaluations")
    (copy / "results.json").unlink()
    times = {path: path.stat().st_mtime_ns for path in copy.glob("models/*/*")}
    said = []
    again = run_experiment(copy, TINY, extractor=PIXELS, progress=False, say=said.append)
    assert {path: path.stat().st_mtime_ns for path in copy.glob("models/*/*")} == times
    assert again["paths"] == tables["paths"]
    assert said[-1] == "evaluating seed 0"
    run_experiment(copy, TINY, extractor=PIXELS, progress=False, say=said.append)
    assert said.count("evaluating seed 0") == 1


def test_damaged_parts_are_said_and_made_anew(grid, tmp_path):
    out, tables = grid
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    (copy / "models" / "vmf-1-seed0" / "flow.safetensors").unlink()
    (copy / "interpolations" / "gaussian-seed0" / "manifoldflow.json").write_text('{"command": "inter')
    paths = copy / "interpolations" / "vmf-2-seed0" / "matched.npz"
    content = bytearray(paths.read_bytes())
    content[len(content) // 2] ^= 1
    paths.write_bytes(content)
    said = []
    again = run_experiment(copy, TINY, extractor=PIXELS, progress=False, say=said.append)
    damaged = [line.split()[0] for line in said if "is damaged and is made anew" in line]
    assert damaged == ["gaussian-seed0", "vmf-1-seed0", "vmf-2-seed0"]
    assert again["paths"] == tables["paths"]


def test_other_settings_other_models_and_foreign_folders_are_refused(grid, tmp_path):
    out, _ = grid
    with pytest.raises(DataError, match=r"begun with other settings \(extractor\)"):
        run_experiment(out, TINY, progress=False)
    changed = ExperimentSettings(**{**TINY.__dict__, "pairs": 65})
    with pytest.raises(DataError, match=r"begun with other settings \(pairs\)"):
        run_experiment(out, changed, extractor=PIXELS, progress=False)
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    shutil.rmtree(copy / "models" / "vmf-2-seed0")
    shutil.copytree(copy / "models" / "vmf-1-seed0", copy / "models" / "vmf-2-seed0")
    with pytest.raises(DataError, match="vmf-2-seed0: a model with other settings"):
        run_experiment(copy, TINY, extractor=PIXELS, progress=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep")
    with pytest.raises(DataError, match="files that manifoldflow did not write"):
        run_experiment(tmp_path / "mine", TINY, progress=False)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep"
    with pytest.raises(ValueError, match=r"priors: expected different ones of gaussian, .* got cauchy"):
        ExperimentSettings(DataChoice("digits"), priors=("cauchy",))


def result(bpd, frechet, ends, **trained):
    """An evaluation with one Gaussian model and two paths, with these figures."""
    times = [0.0, 0.1, 0.2, 0.3, 0.5]
    names = ("norm-corrected", "slerp")
    paths = [
        profile("Gaussian", name, times=times, nearer_end=[factor * x for x in ends])
        for factor, name in enumerate(names, 1)
    ]
    return evaluation(
        {"Gaussian": paths},
        models=[model("Gaussian", bpd, **trained)],
        rows=[row("Gaussian", "samples", "", frechet=frechet)]
        + [row("Gaussian", name, time, frechet=frechet + i) for i, name in enumerate(names) for time in ("all", "0.5")],
        data={"name": "fashion-mnist", "shape": [1, 28, 28], "levels": 256},
    )


NEAR = [0.0, 0.1, 0.2, 0.3, 0.5]


def test_means_deviations_published_figures_and_findings():
    tables = experiment_tables([result(3.0, 1.0, NEAR), result(3.2, 1.2, NEAR)], ["gaussian"], name="Fashion-MNIST")
    (model,) = tables["models"]
    assert (model["test_bpd"], model["test_bpd_sd"]) == (pytest.approx(3.1), pytest.approx(0.2 / 2**0.5))
    assert (model["published_bpd"], model["published_frechet"]) == (3.24, 66.64)
    corrected, slerp = tables["paths"]
    assert corrected["published_frechet"] == 7.80
    assert slerp["published_frechet"] is None  # the control that the paper lacks
    text = tables_to_markdown(tables)
    assert "3.100 ± 0.141" in text
    assert "not comparable with ours" in text
    findings = " ".join(experiment_findings(tables))
    assert "-1.000, standard error 0.141: more than the spread over seeds explains" in findings
    assert "Norm correction is biased towards the end points" in findings
    assert "t = 0.2: 0.200 v. 0.400 (-50 %)" in findings


def test_one_seed_has_no_deviation_and_an_unbiased_path_is_said_to_be_so():
    tables = experiment_tables([result(3.0, 1.0, [0.0] + [-x for x in NEAR[1:]])], ["gaussian"], name="digits")
    assert tables["models"][0]["test_bpd_sd"] is None
    assert tables["models"][0]["published_bpd"] is None
    assert "Norm correction is not throughout biased" in " ".join(experiment_findings(tables))


def test_priors_trained_for_different_numbers_of_steps_are_not_ranked():
    def two(steps):
        return evaluation(
            {"Gaussian": ["linear"], "Dirichlet": ["linear"]},
            models=[model("Gaussian", 2.0), model("Dirichlet", 3.0, steps=steps)],
        )

    fair = experiment_tables([two(200)], ["gaussian", "dirichlet"], name="digits")
    assert fair["training_differences"] == []
    assert "lowest with gaussian" in " ".join(experiment_findings(fair))
    unfair = experiment_tables([two(100)], ["gaussian", "dirichlet"], name="digits")
    text = " ".join(experiment_findings(unfair))
    assert "trained differently (steps run)" in text
    assert "lowest" not in text
    assert "after 100 to 200 training steps" in tables_to_markdown(unfair)
