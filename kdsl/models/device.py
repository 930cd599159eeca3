"""Where a model runs: a GPU where there is one that may be used, else the CPU."""

import os
from typing import Literal

from kdsl.errors import ConfigError

GRANTED = "KDSL_GRANTED_GPU"  # set in a worker by `udfs.gpu`: the card that its task was granted


def device_of(wanted: Literal["auto", "cpu", "cuda"] | str) -> str:
    """The device a setting means; "auto" is a GPU where there is one.

    Raises:
        ConfigError: a GPU is asked for, or was granted to this task, and torch can use none.
    """
    import torch

    there = torch.cuda.is_available()
    if wanted == "auto":
        if not there and (granted := os.environ.get(GRANTED)):  # a 7B on the CPU would be killed for its memory
            raise ConfigError(
                f"device: auto given, Spark granted GPU {granted} to this task, and torch {torch.__version__} can use "
                "none here. Compare the driver (nvidia-smi) with the CUDA version that this torch was built for, or "
                "set device: cpu."
            )
        return "cuda:0" if there else "cpu"
    if wanted.startswith("cuda") and not there:
        raise ConfigError(f"device: {wanted} given and no CUDA device is there; use cpu or auto.")
    return wanted
