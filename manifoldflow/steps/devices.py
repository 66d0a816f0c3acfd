"""Where decoding and features are computed."""

import torch

from ..errors import DataError

__all__ = ["chosen_device"]


def chosen_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU if there is one, else the CPU.

    Raises:
        DataError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for CUDA
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"device: expected auto, cpu or a device of this machine, got {name!r} ({reason:.200})"
        ) from error
    return device
