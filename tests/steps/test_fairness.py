"""The demo trains every base for the same number of steps, whatever the clock says; what was trained differently is
not ranked."""

import json

import pytest

from manifoldflow.steps import DataChoice, DemoSize, evaluate_step, interpolate_step, train_step
from manifoldflow.training import TrainSettings


def test_neither_the_clock_nor_the_validation_loss_ends_a_training_of_the_demo(monkeypatch):
    from manifoldflow.data import ImageSet
    from manifoldflow.steps import demo as module

    digits = DemoSize.of("digits").training
    data = DataChoice("digits").load()[0]
    large = ImageSet(data.images[:1].expand(5000, 1, 8, 8), data.labels[:1].expand(5000), data.levels, "large")
    monkeypatch.setattr(module, "load_images", lambda name: large)
    others = DemoSize.of("large").training
    for settings in (digits, others):
        assert settings.max_seconds is None
        assert settings.patience == settings.epochs
    assert others.epochs * (3500 // 64) >= 800 > (others.epochs - 1) * (3500 // 64)


def test_the_demo_trains_all_for_as_many_steps_and_says_so(demo):
    out, result = demo
    assert {model.result.steps for model in result.models} == {2 * (1258 // 64)}
    assert result.training_differences() == []
    page = (out / "report.html").read_text()
    assert "compared after 38 training steps" in page
    assert "trained differently" not in page
    assert "after 38 training steps" in (out / "evaluation" / "table.md").read_text()


def test_models_trained_for_other_steps_are_compared_with_a_note(demo, tmp_path):
    out, _ = demo
    settings = TrainSettings(epochs=1, batch_size=64, warmup=5)
    model = tmp_path / "model"
    train_step(
        DataChoice("digits"), model, base="dirichlet", levels=1, steps=2, hidden=16, settings=settings, progress=False
    )
    interpolate_step(model, tmp_path / "paths", methods=["matched"], pairs=80)
    alone = evaluate_step([tmp_path / "paths"], tmp_path / "alone")
    assert alone.training_differences() == []
    both = evaluate_step([out / "interpolations" / "vmf", tmp_path / "paths"], tmp_path / "both")
    assert both.training_differences() == ["epochs", "steps run"]
    note = (tmp_path / "both" / "table.md").read_text()
    assert "trained differently (epochs, steps run), so they are not ranked" in note


@pytest.mark.parametrize("old", [True, False])
def test_records_without_a_count_of_steps_are_compared_by_epochs(demo, old):
    _, result = demo
    stored = json.loads(json.dumps(result.to_json()))
    for model in stored["models"]:
        if old:
            del model["result"]["steps"]
    stored["models"][0]["result"]["epochs"] += 1
    assert type(result).from_json(stored).training_differences() == (["epochs run"] if old else [])
