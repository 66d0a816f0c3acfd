"""What a run can be told beside its rates: averaged weights, precision, compilation, where it is logged."""

import importlib.util

import pytest
import torch

import manifoldflow.training.loop as loop
from manifoldflow.flows import FlowDescription
from manifoldflow.training import SavedFlow, TrainSettings, load_flow, save_flow, train_flow
from manifoldflow.training.likelihood import held_out_bits_per_dim

SMALL = FlowDescription((1, 8, 8), base="vmf", levels=2, steps=2, hidden=16)
PLAIN = {"epochs": 2, "batch_size": 50, "learning_rate": 5e-3, "warmup": 5}


def run(digits, folder, **options):
    return train_flow(SMALL, *digits, TrainSettings(**{**PLAIN, **options}), folder=folder, progress=False)


def distance(a, b):
    a, b = (torch.cat([p.detach().double().flatten() for p in flow.parameters()]) for flow in (a, b))
    return float((a - b).norm())


def test_settings_recorded_before_there_were_options_still_work():
    old = {"epochs": 3, "batch_size": 32, "learning_rate": 1e-3, "warmup": 50, "clip": 50.0, "patience": 8}
    old |= {"max_seconds": None, "checkpoint_every": 500, "seed": 1}
    assert TrainSettings(**old) == TrainSettings(epochs=3, checkpoint_every=500, seed=1)
    assert TrainSettings(**TrainSettings(average=0.9, log="tensorboard").to_json()).average == 0.9


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("average", 1.0),
        ("average", float("nan")),
        ("precision", "16-true"),
        ("log", "wandb"),
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", "32"),
        ("learning_rate", None),
        ("clip", float("inf")),
        ("patience", True),
        ("warmup", -1),
        ("seed", -1),
        ("checkpoint_every", 0),
        ("max_seconds", 0),
        ("compile", "yes"),
        ("recompute", 1),
    ],
)
def test_bad_options_are_refused(name, wrong):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        TrainSettings(**{name: wrong})


def test_averaged_weights_are_the_moving_average(digits, tmp_path):
    """Recomputed from the weights after each step of a run without it; an epoch has one step."""
    few = [data.select(torch.arange(50)) for data in digits]
    options = {"warmup": 0, "learning_rate": 1e-3, "epochs": 4}
    averaged = run(few, tmp_path / "averaged", average=0.5, **options)
    weights = []

    class Recorded(torch.optim.Adam):
        def step(self, closure=None):
            loss = super().step(closure)
            weights.append([p.detach().clone() for group in self.param_groups for p in group["params"]])
            return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Recorded)
        run(few, tmp_path / "plain", **options)
    assert len(weights) == 4
    expected = weights[0]
    for later in weights[1 : averaged.best_epoch + 1]:
        expected = [0.5 * a + 0.5 * b for a, b in zip(expected, later)]
    for value, parameter in zip(expected, averaged.flow.parameters()):
        torch.testing.assert_close(parameter.detach(), value, atol=1e-6, rtol=1e-5)


def test_float64_trains_and_is_saved_in_float64(digits, tmp_path):
    result = run(digits, tmp_path, precision="64-true")
    assert {p.dtype for p in result.flow.parameters()} == {torch.float64}
    assert torch.get_default_dtype() == torch.float32
    save_flow(tmp_path, SavedFlow(result.flow, SMALL, 17, {}))
    loaded = load_flow(tmp_path).flow
    x = torch.rand(5, 1, 8, 8, dtype=torch.float64)
    assert torch.equal(loaded.log_prob(x), result.flow.log_prob(x))
    single = run(digits, tmp_path / "single")
    assert result.validation_bpd == pytest.approx(single.validation_bpd, abs=1e-3)
    bpd = held_out_bits_per_dim(result.flow, digits[1], seed=0)
    assert bpd.dtype == torch.float64
    assert bpd.isfinite().all()


def test_bfloat16_networks_train_a_float32_flow(digits, tmp_path):
    mixed, single = run(digits, tmp_path / "a", precision="bf16-mixed"), run(digits, tmp_path / "b")
    assert {p.dtype for p in mixed.flow.parameters()} == {torch.float32}
    assert distance(mixed.flow, single.flow) > 0
    assert mixed.validation_bpd == pytest.approx(single.validation_bpd, abs=0.02)
    # Without autocast, as it will be used, it is as good.
    bpd = held_out_bits_per_dim(mixed.flow, digits[1], seed=0).mean()
    assert float(bpd) == pytest.approx(mixed.validation_bpd, abs=0.02)


def test_tensorboard_log(digits, tmp_path):
    pytest.importorskip("tensorboard")
    run(digits, tmp_path, log="tensorboard", epochs=1)
    assert [path.name.split(".")[0] for path in (tmp_path / "log").glob("events*")] == ["events"]
    assert not list(tmp_path.glob("log/*.csv"))


def test_without_tensorboard_the_remedy_is_named(digits, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(loop, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    with pytest.raises(ImportError, match=r'pip install "manifoldflow\[tensorboard\]", or log to csv'):
        run(digits, tmp_path, log="tensorboard")
    assert list(tmp_path.iterdir()) == []


def test_compilation_is_asked_for_once_and_changes_nothing_else(digits, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    plain = run(digits, tmp_path / "a")
    assert compiled == []
    chosen = run(digits, tmp_path / "b", compile=True, average=None)
    assert len(compiled) == 1
    assert distance(plain.flow, chosen.flow) == 0


def test_recomputed_activations_train_the_same_flow(digits, tmp_path):
    plain, recomputed = run(digits, tmp_path / "a"), run(digits, tmp_path / "b", recompute=True)
    assert recomputed.validation_bpd == pytest.approx(plain.validation_bpd, abs=1e-3)
    assert not recomputed.flow.transform.recompute
    with pytest.raises(ValueError, match="recompute: expected False with compile"):
        TrainSettings(compile=True, recompute=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's compiler looks at every attribute
def test_compiled_training_is_that_of_eager_mode(digits, tmp_path):
    plain, compiled = run(digits, tmp_path / "a", epochs=1), run(digits, tmp_path / "b", epochs=1, compile=True)
    assert compiled.validation_bpd == pytest.approx(plain.validation_bpd, abs=1e-3)
