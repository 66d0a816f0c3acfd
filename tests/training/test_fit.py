"""Training lowers the loss, stops when told, is reproducible, and fails with a hint."""

import csv
import math

import pytest
import torch

from manifoldflow.errors import DataError
from manifoldflow.flows import FlowDescription
from manifoldflow.training import TrainSettings, train_flow
from manifoldflow.training.batches import EpochBatches
from manifoldflow.training.likelihood import held_out_bits_per_dim

SMALL = FlowDescription((1, 8, 8), base="vmf", levels=1, steps=2, hidden=16)


def run(digits, tmp_path, description=SMALL, **settings):
    settings = {"epochs": 3, "batch_size": 50, "learning_rate": 2e-3, "warmup": 5, **settings}
    return train_flow(description, *digits, TrainSettings(**settings), folder=tmp_path, progress=False)


@pytest.mark.parametrize("base", ["gaussian", "vmf", "dirichlet"])
def test_training_lowers_the_loss(digits, tmp_path, base):
    description = FlowDescription((1, 8, 8), base=base, levels=1, steps=2, hidden=16)
    result = run(digits, tmp_path, description, epochs=8, learning_rate=1e-2)
    with (tmp_path / "log" / "metrics.csv").open() as file:
        losses = [float(row["validation_bpd"]) for row in csv.DictReader(file) if row["validation_bpd"]]
    assert len(losses) == result.epochs == 8
    assert result.validation_bpd == pytest.approx(min(losses), abs=1e-5)
    assert losses[-1] < losses[0] - 0.1
    # The weights returned are those of the best epoch, and beat the uniform distribution.
    assert float(held_out_bits_per_dim(result.flow, digits[1], seed=0).mean()) < math.log2(17)
    assert not result.flow.training


def test_same_seed_same_weights_and_another_seed_others(digits, tmp_path):
    a, b, c = (run(digits, tmp_path / str(i), seed=seed, epochs=1) for i, seed in enumerate((1, 1, 2)))
    weights = [r.flow.state_dict() for r in (a, b, c)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert any(not torch.equal(weights[0][k], weights[2][k]) for k in weights[0])


def test_early_stopping_and_time_limit(digits, tmp_path):
    stopped = run(digits, tmp_path / "a", epochs=50, patience=1, learning_rate=1e-9)
    assert stopped.stopped_by == "early stopping"
    assert stopped.epochs < 50
    limited = run(digits, tmp_path / "b", epochs=10_000, max_seconds=1.5)
    assert limited.stopped_by == "time limit"
    assert limited.epochs < 10_000


def test_a_loss_that_explodes_names_the_step_and_a_remedy(digits, tmp_path):
    with pytest.raises(FloatingPointError, match=r"became (nan|inf|-inf) at step \d+; try a smaller learning_rate"):
        run(digits, tmp_path, learning_rate=1e12, epochs=20, warmup=0, clip=1e30)


def test_mismatched_data_is_refused(digits, tmp_path):
    with pytest.raises(DataError, match=r"train: expected images of shape \(1, 4, 4\), got \(1, 8, 8\)"):
        run(digits, tmp_path, FlowDescription((1, 4, 4)))
    train, validation = digits
    other = type(validation)(validation.images, validation.labels, 256, "other")
    with pytest.raises(DataError, match="validation: expected 17 levels"):
        run((train, other), tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": -1}, {"learning_rate": float("nan")}, {"max_seconds": 0}, {"warmup": -1}]
)
def test_bad_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        TrainSettings(**wrong)


def test_batch_order_is_a_function_of_seed_and_epoch():
    def epoch(seed, number, **options):
        batches = EpochBatches(23, 5, seed, **options)
        batches.set_epoch(number)
        return list(batches)

    assert epoch(1, 0) == epoch(1, 0)
    assert epoch(1, 0) != epoch(1, 1)
    assert epoch(1, 0) != epoch(2, 0)
    flat = [i for batch in epoch(1, 0) for i in batch]
    assert len(flat) == len(set(flat)) == 20
    # Two processes with batches of 5 see together what one with batches of 10 sees.
    together = [set(a) | set(b) for a, b in zip(epoch(1, 3, replicas=2, rank=0), epoch(1, 3, replicas=2, rank=1))]
    alone = EpochBatches(23, 10, 1)
    alone.set_epoch(3)
    assert together == [set(batch) for batch in alone]


def test_fewer_images_than_a_batch_still_train():
    assert [len(batch) for batch in EpochBatches(3, 10, 0)] == [3]
