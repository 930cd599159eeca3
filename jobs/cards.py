"""Where two tasks could meet on one GPU, since Spark schedules none."""

from collections.abc import Iterable

from kdsl.config import Settings
from kdsl.models.mllm_voter import device
from kdsl.release import Release

ROWS_A_TASK = 5_000


def tasks(settings: Settings, release: Release, rows: int, *, slots: int) -> int:
    """How many tasks label so many rows: one where it must own the card."""
    return 1 if alone(settings, release) else max(2 * slots, rows // ROWS_A_TASK)


def alone(settings: Settings, release: Release) -> bool:
    """Whether one task at a time may ask the release, since it must own the card."""
    folders = [release.folder(task, name) for task, names in release.manifest.voters.items() for name in names]
    return may_meet(settings, [wanted for folder in folders if (wanted := device(folder)) is not None])


def granted(settings: Settings) -> bool:
    """Whether Spark gives each task a card of its own."""
    return "spark.task.resource.gpu.amount" in settings.spark.conf


def may_meet(settings: Settings, devices: Iterable[str]) -> bool:
    """Whether models that ask for these devices, side by side in `local` mode, would share a card of this machine."""
    if granted(settings) or not settings.spark.master.startswith("local"):
        return False  # what a cluster's nodes have is not known here: docs/deploy.md says how they are told
    wanted = {one for one in devices if one != "cpu"}
    if wanted == {"auto"}:
        import torch

        return torch.cuda.is_available()
    return bool(wanted)
