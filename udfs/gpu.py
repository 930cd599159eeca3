"""The GPU that Spark grants a task, where a cluster schedules GPUs as resources."""

import os

from kdsl.models.device import GRANTED


def claim() -> None:
    """Let this worker see only its own task's GPU; call it before anything of CUDA is touched.

    Does nothing where Spark schedules no GPUs: the setting `device` of the model then decides. A reused worker keeps
    the GPU of its first task, so executors must have as many task slots as GPUs.
    """
    from pyspark import TaskContext

    task = TaskContext.get()
    granted = task.resources().get("gpu") if task is not None else None
    if granted is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ[GRANTED] = ",".join(granted.addresses)
