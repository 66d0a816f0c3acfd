"""Glow is a bijection with the log-determinant that autodiff finds, at any weights."""

import pytest
import torch
from torch.func import jacrev, vmap

import manifoldflow.flows.glow.layers as coupling
from manifoldflow.data import dequantise, load_images
from manifoldflow.flows import FlowDescription, Glow, build_flow


def trained_looking(shape, dtype, **options):
    """A Glow whose couplings do something: the zero-initialised last convolutions are filled."""
    glow = Glow(shape, **options).to(dtype)
    with torch.no_grad():
        for parameter in glow.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return glow


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 8), (1, 8, 8)])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_inverse_undoes_forward(shape, dtype, atol):
    glow = trained_looking(shape, dtype, levels=2, steps=3, hidden=8)
    x = torch.rand(5, *shape, dtype=dtype)
    z = glow(x).detach()
    assert z.shape == (5, glow.dim)
    assert z.dtype == dtype
    torch.testing.assert_close(glow.inv(z), x, atol=atol, rtol=0)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 4)])
@pytest.mark.parametrize("levels", [1, 2])
def test_log_determinant_equals_autodiff(shape, levels):
    glow = trained_looking(shape, torch.float64, levels=levels, steps=2, hidden=8)
    x = torch.rand(3, *shape, dtype=torch.float64)
    jacobian = vmap(jacrev(lambda one: glow(one[None])[0]))(x).reshape(3, glow.dim, glow.dim)
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(glow.log_abs_det_jacobian(x, glow(x)), expected, atol=1e-9, rtol=1e-9)


@pytest.fixture(scope="module")
def trained():
    """Glows of both dtypes after 40 steps of Adam on digits, with the images."""
    images = dequantise(load_images("digits").images[:100], 17).double()
    flows = {}
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(3)
        flow = build_flow(FlowDescription((1, 8, 8), levels=2, steps=3, hidden=16)).to(dtype)
        x = images.to(dtype)
        flow.transform.initialise(x)
        optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
        before = -flow.log_prob(x).mean().item()
        for _ in range(40):
            optimiser.zero_grad()
            loss = -flow.log_prob(x).mean()
            loss.backward()
            optimiser.step()
        assert loss.item() < before - 20  # it did learn
        flows[dtype] = flow.transform, x
    return flows


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_inverse_undoes_forward_after_training(trained, dtype, atol):
    glow, x = trained[dtype]
    with torch.no_grad():
        assert float((glow.inv(glow(x)) - x).abs().max()) <= atol
        z = torch.randn(100, glow.dim, dtype=dtype)
        assert float((glow(glow.inv(z)) - z).abs().max()) <= atol


def test_log_determinant_equals_autodiff_after_training(trained):
    glow, x = trained[torch.float64]
    x = x[:2]
    jacobian = vmap(jacrev(lambda one: glow(one[None])[0]))(x).reshape(2, glow.dim, glow.dim)
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(glow.log_abs_det_jacobian(x, None), expected, atol=1e-9, rtol=1e-9)


def test_under_autocast_only_the_networks_are_rounded(trained):
    """The log-determinant is that of the map with rounded networks, to float32; the map is inverted under it, too."""
    glow, x = trained[torch.float32]
    x = x[:4]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        z, ladj = glow.call_and_ladj(x)
        assert z.dtype == ladj.dtype == torch.float32
        assert float((glow.inv(z) - x).abs().max()) < 1e-2  # rounding may differ where a network sees another input
    with torch.no_grad():
        exact, exact_ladj = glow.call_and_ladj(x)
    assert 0 < float((z - exact).abs().max()) < 0.1 * float(exact.abs().max())
    torch.testing.assert_close(ladj, exact_ladj, atol=1.0, rtol=1e-2)
    # Sums in bfloat16, which has 8 bits, would err by parts in 256: the sum over the map's own scales shows none.
    scales = []
    hook = lambda module, inputs, output: scales.append(output.float())  # noqa: E731
    handles = [module.net.register_forward_hook(hook) for module in glow.modules() if hasattr(module, "net")]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        again = glow.call_and_ladj(x)[1]
    for handle in handles:
        handle.remove()
    volume = sum((2 * torch.tanh(s.double().chunk(2, 1)[0] / 2)).sum((1, 2, 3)) for s in scales)
    for level, block in enumerate(glow.blocks):
        volume = volume + block.mixing.log_determinant((8 // 2 ** (level + 1)) ** 2).double()
    torch.testing.assert_close(again.double(), volume, atol=1e-4, rtol=1e-6)


def test_large_batches_are_predicted_in_pieces(monkeypatch):
    glow = trained_looking((1, 8, 8), torch.float64, levels=2, steps=2, hidden=8)
    x = torch.rand(9, 1, 8, 8, dtype=torch.float64)
    expected, ladj = glow.call_and_ladj(x)
    monkeypatch.setattr(coupling, "_PIECE", 2 * 8 * 4 * 4)  # two images at the first level, eight at the second
    seen = []
    glow.blocks[0].couplings[0].net.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    with torch.no_grad():
        z, pieces = glow.call_and_ladj(x)
        assert seen == [2, 2, 2, 2, 1]
        torch.testing.assert_close(glow.inv(z), x, atol=1e-11, rtol=0)
    torch.testing.assert_close(z, expected.detach(), atol=1e-11, rtol=0)
    torch.testing.assert_close(pieces, ladj.detach(), atol=1e-11, rtol=1e-11)


def test_initialise_standardises_the_output_and_changes_no_input():
    glow = Glow((1, 8, 8), levels=2, steps=4, hidden=8)
    x = torch.rand(256, 1, 8, 8) * 0.3
    before = x.clone()
    glow.initialise(x)
    z = glow(x).detach()
    assert torch.equal(x, before)
    assert float(z.std()) == pytest.approx(1, abs=0.2)
    assert float(z.mean()) == pytest.approx(0, abs=0.1)


def test_initialise_survives_constant_pixels():
    glow = Glow((1, 8, 8), levels=2, steps=4, hidden=8)
    glow.initialise(torch.full((64, 1, 8, 8), 0.5))
    assert glow(torch.rand(4, 1, 8, 8)).isfinite().all()


def test_batch_shapes():
    glow = Glow((1, 4, 4), levels=1, steps=1, hidden=4)
    assert glow(torch.rand(2, 3, 1, 4, 4)).shape == (2, 3, 16)
    assert glow.inv(torch.rand(2, 3, 16)).shape == (2, 3, 1, 4, 4)
    assert glow.log_abs_det_jacobian(torch.rand(2, 3, 1, 4, 4), None).shape == (2, 3)
    assert glow(torch.rand(0, 1, 4, 4)).shape == (0, 16)
    assert glow.forward_shape(torch.Size([7, 1, 4, 4])) == (7, 16)
    assert glow.inverse_shape(torch.Size([7, 16])) == (7, 1, 4, 4)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"divisible by 2\^levels = 4, got 6 x 6"):
        Glow((1, 6, 6), levels=2)
    with pytest.raises(ValueError, match="steps: expected an integer >= 1, got 0"):
        Glow((1, 8, 8), steps=0)
    with pytest.raises(ValueError, match=r"expected images of shape .*1, 8, 8.*got \(5, 1, 4, 4\)"):
        Glow((1, 8, 8))(torch.rand(5, 1, 4, 4))


def perturbed(steps, dtype=torch.float64):
    torch.manual_seed(0)
    glow = Glow((1, 8, 8), levels=2, steps=steps, hidden=8).to(dtype)
    for weight in glow.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    return glow


def gradients(glow, x):
    x = x.clone().requires_grad_()
    z, ladj = glow.call_and_ladj(x)
    return torch.autograd.grad((z.square().sum() + (ladj * z[:, 0]).sum()), [x, *glow.parameters()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recomputed_activations_give_the_same_gradients(dtype):
    glow, x = perturbed(4, dtype), torch.rand(5, 1, 8, 8, dtype=dtype)
    expected = gradients(glow, x)
    glow.recompute = True
    for found, wanted in zip(gradients(glow, x), expected):
        assert (found - wanted).norm() <= 1e4 * torch.finfo(dtype).eps * (1 + wanted.norm())
    none = torch.rand(0, 1, 8, 8, dtype=dtype)
    assert gradients(glow, none)[0].shape == none.shape
    vmapped = vmap(lambda image: glow.call_and_ladj(image)[1])(x)  # where nothing is recomputed
    torch.testing.assert_close(vmapped, glow.call_and_ladj(x)[1])


def kept(glow, x):
    """Numbers kept for the way back, weights aside."""
    own = {weight.untyped_storage().data_ptr() for weight in glow.parameters()}
    seen = {}

    def note(tensor):
        if tensor.untyped_storage().data_ptr() not in own and len(x) in tensor.shape:
            seen[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        glow.call_and_ladj(x)
    return sum(seen.values())


def test_recomputed_activations_are_not_kept():
    x = torch.rand(7, 1, 8, 8, dtype=torch.float64)
    plain, flat = {}, {}
    for steps in (2, 8):
        glow = perturbed(steps)
        plain[steps] = kept(glow, x)
        glow.recompute = True
        flat[steps] = kept(glow, x)
    assert plain[8] > 3 * plain[2]
    assert flat[8] == flat[2]


def test_under_autocast_recomputed_gradients_are_those_of_rounded_networks():
    glow, x = perturbed(3, torch.float32), torch.rand(5, 1, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = gradients(glow, x)
        glow.recompute = True
        found = gradients(glow, x)
    for a, b in zip(found, expected):
        assert (a - b).norm() <= 0.02 * (1e-3 + b.norm())
