"""The GPU that Spark grants a task, where a cluster schedules GPUs as resources."""

import os

from kdsl.errors import ConfigError
from kdsl.models.device import GRANTED


def claim() -> None:
    """Let this worker see only its own task's GPU; call it before anything of CUDA is touched.

    Does nothing where Spark schedules no GPUs: the setting `device` of the model then decides.

    Raises:
        ConfigError: a reused worker, which keeps the GPU of its first task, is granted another one: that one may be
            held by another worker's model, and where an executor has several GPUs it sooner or later is.
    """
    from pyspark import TaskContext

    task = TaskContext.get()
    granted = task.resources().get("gpu") if task is not None else None
    if granted is None:
        return
    now, held = ",".join(granted.addresses), os.environ.get(GRANTED)
    if held is not None and held != now:
        raise ConfigError(
            f"spark.executor.resource.gpu.amount: this worker's models are on GPU {held} and Spark grants it GPU "
            f"{now}; allowed is one GPU an executor. Set it to 1 and start more executors."
        )
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ[GRANTED] = now
