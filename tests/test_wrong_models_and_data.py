"""The doors of flows, models, data and training: whatever comes in, the error is a named one that names the argument.

Every call is first made with what it asks for. Then each argument is replaced by each wrong value; a value that is
accepted after all is no fault.
"""

import numpy as np
import pytest
import torch

from manifoldflow import Dirichlet, data, flows, models, training

WRONG = [
    None,
    3,
    -1,
    2.5,
    float("nan"),
    "x",
    [],
    [1, 2],
    {},
    np.ones((2, 3)),
    torch.ones(2, 3),
    torch.tensor(1),
    torch.ones(2, dtype=torch.int64),
    torch.ones(2, 3, dtype=torch.complex64),
    torch.empty(2, 3, device="meta"),
    object(),
]
IMAGES = torch.arange(8 * 64).reshape(8, 1, 8, 8).remainder(17).byte()
X = IMAGES[:2] / 17
SET = data.ImageSet(IMAGES, torch.arange(8) % 3, 17, "set")
FLOW = flows.build_flow(flows.FlowDescription((1, 8, 8), levels=1, steps=1, hidden=4))
PRIOR = Dirichlet(torch.ones(3))
VAE, WAE, GAN = (kind((1, 8, 8), 3, channels=4) for kind in (models.VAE, models.WAE, models.DCGAN))
Z = torch.ones(2, 3)
CALLS = {
    "ImageSet": (data.ImageSet, {"images": IMAGES, "labels": torch.arange(8), "levels": 17, "name": "set"}),
    "select": (SET.select, {"index": torch.arange(2)}),
    "split": (data.split, {"data": SET, "fractions": [0.5, 0.5], "seed": 0}),
    "split_published": (
        data.split_published,
        {"data": data.ImageSet(IMAGES, None, 17, "set", 2), "validation": 0.5, "seed": 0},
    ),
    "reduce_bits": (data.reduce_bits, {"data": data.ImageSet(IMAGES, None, 256, "set"), "bits": 5}),
    "images_from_array": (data.images_from_array, {"array": IMAGES.numpy(), "name": "set"}),
    "dequantise": (data.dequantise, {"images": IMAGES, "levels": 17, "noise": 0.5}),
    "quantise": (data.quantise, {"x": X, "levels": 17}),
    "bits_per_dim": (data.bits_per_dim, {"log_prob": torch.ones(3), "dim": 4, "levels": 17}),
    "hashed_uniform": (data.hashed_uniform, {"index": torch.arange(3), "count": 4, "seed": 0, "epoch": 0}),
    "load_images": (data.load_images, {"source": "digits", "size": 8, "bits": 8}),
    "make_base": (flows.make_base, {"name": "vmf", "dim": 4, "parameter": 1.0}),
    "FlowDescription": (
        flows.FlowDescription,
        {"shape": (1, 8, 8), "base": "vmf", "base_parameter": 1.0, "levels": 1, "steps": 1, "hidden": 4},
    ),
    "build_flow": (flows.build_flow, {"description": flows.FlowDescription((1, 8, 8), levels=1, steps=1, hidden=4)}),
    "Glow": (flows.Glow, {"shape": (1, 8, 8), "levels": 1, "steps": 1, "hidden": 4}),
    "Glow.initialise": (flows.Glow((1, 8, 8), levels=1, steps=1, hidden=4).initialise, {"x": X}),
    "Glow.call_and_ladj": (FLOW.transform.call_and_ladj, {"x": X}),
    "Logit": (flows.Logit, {"alpha": 0.05}),
    "Logit.call_and_ladj": (flows.Logit().call_and_ladj, {"x": X}),
    "Preprocessed": (flows.Preprocessed, {"first": flows.Logit(), "transform": FLOW.transform}),
    "call_and_ladj": (flows.call_and_ladj, {"transform": FLOW.transform, "x": X}),
    "log_prob": (FLOW.log_prob, {"x": X}),
    "encode": (FLOW.encode, {"x": X}),
    "decode": (FLOW.decode, {"s": torch.ones(2, 64)}),
    "sample": (FLOW.sample, {"shape": (2,), "temperature": 0.7}),
    "VAE": (models.VAE, {"image_shape": (1, 8, 8), "latent_dim": 2, "prior": PRIOR, "channels": 4, "hidden": 8}),
    "WAE": (models.WAE, {"image_shape": (1, 8, 8), "latent_dim": 2, "prior": PRIOR, "channels": 4, "penalty": 1.0}),
    "DCGAN": (models.DCGAN, {"image_shape": (1, 8, 8), "latent_dim": 2, "prior": PRIOR, "channels": 4}),
    "vae.encode": (VAE.encode, {"x": X}),
    "vae.loss": (VAE.loss, {"x": X}),
    "wae.encode": (WAE.encode, {"x": X}),
    "wae.loss": (WAE.loss, {"x": X}),
    "dcgan.discriminate": (GAN.discriminate, {"x": X}),
    **{f"{name}.decode": (model.decode, {"z": Z}) for name, model in {"vae": VAE, "wae": WAE, "gan": GAN}.items()},
    **{f"{name}.sample": (model.sample, {"count": 2}) for name, model in {"vae": VAE, "wae": WAE, "gan": GAN}.items()},
    "maximum_mean_discrepancy": (models.maximum_mean_discrepancy, {"x": Z, "y": Z + 1}),
    "TrainSettings": (training.TrainSettings, {**training.TrainSettings(average=0.5).to_json()}),
    "Placement": (training.Placement, {"devices": 1, "num_nodes": 1}),
    "ModelDescription": (
        training.ModelDescription,
        {
            "kind": "vae",
            "shape": (1, 8, 8),
            "latent_dim": 2,
            "prior": "vmf",
            "channels": 4,
            "hidden": 4,
            "penalty": 1.0,
        },
    ),
    "build_model": (training.build_model, {"description": training.ModelDescription("vae", (1, 8, 8), 2)}),
}


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_are_named(name):
    call, arguments = CALLS[name]
    call(**arguments)
    for argument in arguments:
        for wrong in WRONG:
            try:
                call(**{**arguments, argument: wrong})
            except (TypeError, ValueError) as error:
                message = str(error)
            except Exception as error:
                pytest.fail(f"{argument}={wrong!r}: {type(error).__name__}: {error}")
            else:
                continue
            assert "expected" in message, f"{argument}={wrong!r}: {message}"


def test_fractions_that_are_no_numbers_end():
    assert len(data.split(SET, [0.5, 0.5], seed=0)) == 2
    for part in (float("nan"), float("inf"), 0.0, 1e-300, 1e-8):
        with pytest.raises(ValueError, match=r"fractions\[1\]: expected|too few to split into 2 parts; \d+ are enough"):
            data.split(SET, [0.5, part], seed=0)


@pytest.mark.parametrize("load", [training.load_flow, training.load_model, data.read_numpy, data.read_image_folder])
def test_paths_that_are_none_are_named(load):
    for wrong in (None, 3, [], torch.ones(2)):
        with pytest.raises(TypeError, match=r"(folder|path): expected a path, got"):
            load(wrong)


def test_what_is_public_has_a_repr_of_one_line():
    objects = [SET, FLOW, FLOW.transform, flows.Preprocessed(flows.Logit(), FLOW.transform), VAE, WAE, GAN]
    assert [repr(one).partition("(")[0] for one in objects] == [type(one).__name__ for one in objects]
    assert not any("\n" in repr(one) or "object at 0x" in repr(one) for one in objects)
    assert repr(SET) == "ImageSet('set', 8 images of 1x8x8, 17 levels, 3 classes)"
    assert repr(FLOW.transform) == "Glow((1, 8, 8), levels=1, steps=1, hidden=4)"
