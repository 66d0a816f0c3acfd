"""A flow from its description: plain JSON values in, a ManifoldFlow out. Loading runs no code of a file."""

from dataclasses import asdict, dataclass
from typing import Any

from .bases import make_base
from .flow import ManifoldFlow
from .glow import PREPROCESSING, Glow, Logit, Preprocessed

__all__ = ["FlowDescription", "build_flow"]

_LARGEST = {"levels": 12, "steps": 1000, "hidden": 100_000}
"""What a description that was read may ask for; twelve levels halve 4096 pixels to one."""


@dataclass(frozen=True)
class FlowDescription:
    """Everything that fixes the architecture of a flow of images; its weights come on top.

    Args:
        shape: (c, h, w) of the images.
        base: A name in `BASES`.
        base_parameter: The base's parameter, None for its default.
        levels, steps, hidden: Glow's L, K and hidden channels.
        preprocess: "centred" (x - 1/2, the first thing that Glow does) or "logit" (before Glow).
    """

    shape: tuple[int, int, int]
    base: str = "gaussian"
    base_parameter: float | None = None
    levels: int = 2
    steps: int = 8
    hidden: int = 64
    preprocess: str = "centred"

    @property
    def dim(self) -> int:
        """d = c h w."""
        c, h, w = self.shape
        return c * h * w

    @property
    def least_parameters(self) -> int:
        """Fewer than the flow's weights are: those of the couplings' middle convolutions and of the mixings."""
        channels, count = self.shape[0], 0
        for _ in range(self.levels):
            channels *= 4
            count += self.steps * (self.hidden**2 + channels**2)
            channels -= channels // 2
        return count

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, fields: Any) -> "FlowDescription":
        """The inverse of `to_json`.

        Raises:
            ValueError: A field is missing, unknown or of the wrong kind.
        """
        kinds: dict[str, type | tuple[type, ...]] = {
            "shape": list,
            "base": str,
            "base_parameter": (int, float, type(None)),
            "levels": int,
            "steps": int,
            "hidden": int,
            "preprocess": str,
        }
        if isinstance(fields, dict):
            fields = {"preprocess": "centred", **fields}  # older files lack it
        if not isinstance(fields, dict) or set(fields) != set(kinds):
            raise ValueError(f"flow description: expected the fields {sorted(kinds)}, got {fields!r:.200}")
        for name, kind in kinds.items():
            if not isinstance(fields[name], kind) or isinstance(fields[name], bool):
                raise ValueError(f"flow description: {name} has the wrong type: {fields[name]!r:.100}")
        shape = fields["shape"]
        if len(shape) != 3 or not all(type(n) is int and 1 <= n <= 4096 for n in shape):
            raise ValueError(f"flow description: shape: expected [c, h, w], got {shape!r:.100}")
        for name, most in _LARGEST.items():
            if fields[name] > most:
                raise ValueError(f"flow description: {name}: expected at most {most}, got {fields[name]}")
        return cls(**{**fields, "shape": tuple(shape)})


def build_flow(description: FlowDescription) -> ManifoldFlow:
    """A freshly initialised flow; torch's generator decides the rotations and the couplings.

    Raises:
        ValueError: The description asks for something that there is not, or that does not suit its shape.
    """
    if description.preprocess not in PREPROCESSING:
        raise ValueError(f"preprocess: expected one of {', '.join(PREPROCESSING)}, got {description.preprocess!r}")
    chart, base, _ = make_base(description.base, description.dim, description.base_parameter)
    glow = Glow(description.shape, levels=description.levels, steps=description.steps, hidden=description.hidden)
    transform = Preprocessed(Logit(), glow) if description.preprocess == "logit" else glow
    return ManifoldFlow(transform, chart, base)
