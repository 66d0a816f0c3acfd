"""A small exact flow for tests."""

import torch

from manifoldflow.flows import Flow


class Projective(Flow):
    """x -> M x / |M x| on a sphere, whose log-volume is log |det M| - n log |M x|.

    With the uniform base its law is the angular central Gaussian one of covariance (M'M)^-1.
    """

    def __init__(self, space, base=None, context_dim=0):
        super().__init__(space, base, context_dim)
        n = space.dim + 1
        self.matrix = torch.nn.Parameter(torch.eye(n) + 0.35 * torch.randn(n, n))
        self.turn = torch.nn.Parameter(0.3 * torch.randn(context_dim, n, n))

    def _matrix(self, context):
        return self.matrix if context is None else self.matrix + torch.einsum("...c,cij->...ij", context, self.turn)

    def encode_and_ladj(self, x, context=None):
        m = self._matrix(context)
        y = (m @ x[..., None])[..., 0]
        norm = y.norm(dim=-1)
        return y / norm[..., None], torch.linalg.slogdet(m).logabsdet - x.shape[-1] * norm.log()

    def decode(self, s, context=None):
        y = torch.linalg.solve(self._matrix(context), s[..., None])[..., 0]
        return y / y.norm(dim=-1, keepdim=True)
