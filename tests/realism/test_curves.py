"""Plane projections and mirrored end points."""

import pytest
import torch

from manifoldflow.realism import StandardNormalIndex, TwoSidedIndex, mirrored, plane_coordinates, plane_points


def test_plane_coordinates_are_the_least_squares_projection():
    nodes = torch.randn(3, 7, 5, dtype=torch.float64)
    found = plane_coordinates(nodes)
    for row in range(3):
        basis = torch.stack([nodes[row, 0], nodes[row, -1]], -1)
        expected = torch.linalg.lstsq(basis, nodes[row].T).solution.T
        torch.testing.assert_close(found[row], expected)
        torch.testing.assert_close(plane_points(nodes[row, 0], nodes[row, -1], found[row, :1]), nodes[row, :1])
    ends = torch.eye(2, dtype=torch.float64).expand(3, 2, 2)
    torch.testing.assert_close(found[:, [0, -1]], ends)
    with pytest.raises(ValueError, match="span a plane"):
        plane_coordinates(torch.ones(4, 3))


def test_mirrored_flips_the_share_asked_for():
    z = torch.randn(50, 20) + 3
    flipped = mirrored(z, share=0.3)
    torch.testing.assert_close(flipped.abs(), z.abs())
    assert ((flipped != z).sum(-1) == 6).all()
    with pytest.raises(ValueError, match="share: expected"):
        mirrored(z, share=2.0)


def test_the_density_index_cannot_see_the_soap_bubble_and_the_two_sided_can():
    torch.manual_seed(0)
    z = torch.randn(100, 64)
    middle = 0.5 * (z + mirrored(z, share=0.5))
    index = StandardNormalIndex(64)
    assert index(middle).mean() > 0.98
    assert TwoSidedIndex(index)(middle).mean() < 0.04
    assert TwoSidedIndex(index)(z).mean() > 0.3


def test_mirrored_at_the_ends_of_its_range():
    z = torch.randn(9, 4)
    assert torch.equal(mirrored(z, share=1.0), -z)
    assert torch.equal(mirrored(z, share=0.0), z)
    assert ((mirrored(z) != z).sum(-1) == 2).all()
    with pytest.raises(ValueError, match="share: expected"):
        mirrored(z, share=-0.1)
