"""Saved flows come back the same, and damaged or foreign files are refused by name without running them."""

import json
import os
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from manifoldflow.errors import DataError
from manifoldflow.files import read_json, write_json
from manifoldflow.flows import FlowDescription, build_flow
from manifoldflow.training import SavedFlow, load_flow, save_flow


@pytest.fixture(params=["gaussian", "vmf", "dirichlet"])
def saved(request, tmp_path):
    description = FlowDescription((1, 4, 4), base=request.param, base_parameter=1.5, levels=1, steps=2, hidden=8)
    flow = build_flow(description)
    flow.transform.initialise(torch.rand(64, 1, 4, 4))
    save_flow(tmp_path, SavedFlow(flow, description, 17, {"note": "x"}))
    return tmp_path, flow


def test_round_trip(saved):
    folder, flow = saved
    state = torch.random.get_rng_state()
    loaded = load_flow(folder)
    assert torch.equal(torch.random.get_rng_state(), state)
    x = torch.rand(5, 1, 4, 4)
    assert torch.equal(loaded.flow.log_prob(x), flow.log_prob(x))
    assert loaded.levels == 17
    assert loaded.training == {"note": "x"}


def edit(folder, **changes):
    path = folder / "flow.json"
    content = read_json(path)
    content["flow"].update(changes)
    write_json(path, content)


def test_weights_of_another_architecture(saved):
    load_flow(saved[0])
    edit(saved[0], hidden=16)
    with pytest.raises(DataError, match=r"another architecture.*expected \(16, .* got \(8, "):
        load_flow(saved[0])


def test_damaged_description(saved):
    edit(saved[0], base="cauchy")
    with pytest.raises(DataError, match=r"flow\.json: flow description: base: expected one of"):
        load_flow(saved[0])
    edit(saved[0], base="vmf", steps=-1)
    with pytest.raises(DataError, match="steps: expected an integer from 1 to 1000, got -1"):
        load_flow(saved[0])
    (saved[0] / "flow.json").write_text("[]")
    with pytest.raises(DataError, match=r"expected the fields flow, levels \(2 to 256\) and training"):
        load_flow(saved[0])
    (saved[0] / "flow.json").unlink()
    with pytest.raises(DataError, match=r"holds no flow\.json"):
        load_flow(saved[0])


class _Malicious:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps(_Malicious())])
def test_damaged_or_malicious_weights(saved, content):
    (saved[0] / "flow.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="not a readable safetensors file"):
        load_flow(saved[0])


def test_truncated_weights(saved):
    path = saved[0] / "flow.safetensors"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a readable safetensors file"):
        load_flow(saved[0])


@pytest.mark.parametrize("value", [-3.0, 0.0, float("nan"), float("inf"), 2.0])
def test_a_base_that_is_not_the_described_one_is_refused(saved, value):
    path = saved[0] / "flow.safetensors"
    weights = load_file(path)
    name = next(name for name in ("base_concentration", "base_scale") if name in weights)
    save_file({**weights, name: torch.full_like(weights[name], value)}, path)
    with pytest.raises(DataError, match=f"{name} (holds NaN|is not the one of the base)"):
        load_flow(saved[0])


def test_weights_with_nan_are_refused(saved):
    path = saved[0] / "flow.safetensors"
    weights = load_file(path)
    weights["transform.blocks.0.mixing.shift"][0, 0] = float("nan")
    save_file(weights, path)
    with pytest.raises(DataError, match=r"mixing\.shift holds NaN"):
        load_flow(saved[0])


def test_missing_weights(saved):
    (saved[0] / "flow.safetensors").unlink()
    with pytest.raises(DataError, match=r"flow\.safetensors: cannot be read \(No such file or directory\); check"):
        load_flow(saved[0])
    os.mkfifo(saved[0] / "flow.safetensors")
    with pytest.raises(DataError, match=r"flow\.safetensors: expected a file, found a named pipe"):
        load_flow(saved[0])


def flip(path, at):
    """Turn one bit of a file over."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_no_flipped_bit_gives_another_model(saved):
    folder, flow = saved
    x = torch.rand(5, 1, 4, 4)
    expected = flow.log_prob(x)
    assert torch.equal(load_flow(folder).flow.log_prob(x), expected)
    generator = torch.Generator().manual_seed(0)
    for name in ("flow.safetensors", "flow.json"):
        path, refused = folder / name, []
        whole = path.read_bytes()
        for at in torch.randint(len(whole), (30,), generator=generator).tolist():
            flip(path, at)
            try:
                loaded = load_flow(folder)
            except DataError as error:
                refused.append(str(error))
            else:  # a space, say, or a name that older files lack
                assert torch.equal(loaded.flow.log_prob(x), expected)
                assert (loaded.levels, loaded.training) == (17, {"note": "x"})
            path.write_bytes(whole)
        assert len(refused) > 15
        assert all(str(folder) in message and " again" in message for message in refused), refused


def test_files_without_checksums_are_read(saved):
    folder, flow = saved
    save_file(load_file(folder / "flow.safetensors"), folder / "flow.safetensors")
    content = json.loads((folder / "flow.json").read_text())
    del content["seal"]
    (folder / "flow.json").write_text(json.dumps(content))
    x = torch.rand(5, 1, 4, 4)
    assert torch.equal(load_flow(folder).flow.log_prob(x), flow.log_prob(x))
