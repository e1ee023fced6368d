"""Which device models run on: what was asked for, if it is there."""

import re

from models.errors import SettingError

_KNOWN = re.compile(r"auto|cuda(:\d+)?")


def available_device(asked: str, how: str = "set QUALSTREAM_DEVICE, or `device` in the profile,") -> str:
    """The device to use; ``auto`` is a GPU if there is one.

    Args:
        asked: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        how: Where it is chosen, as an error says it.

    Raises:
        SettingError: If it is not there. Loading a model would fail for every segment anew.
    """
    if asked == "cpu":
        return asked
    if not _KNOWN.fullmatch(asked):
        raise SettingError(f"'{asked}' is no device that is known here; {how} to auto, cpu, cuda or cuda:N")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return "cuda" if count else "cpu"
    number = int(asked.partition(":")[2] or 0)
    if number < count:
        return asked
    raise SettingError(f"the device '{asked}' is asked for, but {_what_is_here(count)}; {how} to auto or cpu")


def _what_is_here(count: int) -> str:
    import torch

    if count:
        return f"the GPUs here are {', '.join(f'cuda:{n}' for n in range(count))}"
    if torch.version.cuda is None:
        return f"this torch ({torch.__version__}) has no CUDA (TORCH_BUILD=cuda make setup brings it)"
    return f"torch {torch.__version__} finds no GPU here"
