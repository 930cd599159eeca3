"""Where two tasks could meet on one GPU that Spark does not schedule, one task labels alone."""

import pytest

from jobs.cards import may_meet
from kdsl.config import Settings

GRANTED = {"spark.task.resource.gpu.amount": "1"}


@pytest.mark.parametrize(
    ("master", "conf", "devices", "there", "meet"),
    [
        ("local[4]", {}, ["auto"], True, True),
        ("local[4]", {}, ["auto"], False, False),
        ("local[4]", {}, ["cuda:0"], False, True),
        ("local[4]", {}, ["cpu"], True, False),
        ("local[4]", {}, [], True, False),
        ("local-cluster[1,1,1024]", GRANTED, ["auto"], True, False),
        ("spark://host:7077", {}, ["auto"], True, False),
    ],
)
def test_only_a_local_master_without_granted_cards_makes_models_meet(
    monkeypatch: pytest.MonkeyPatch, master: str, conf: dict[str, str], devices: list[str], there: bool, meet: bool
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    settings = Settings.model_validate({"spark": {"master": master, "conf": conf}})
    assert may_meet(settings, devices) is meet
