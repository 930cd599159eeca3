"""GPUs that Spark grants: each task sees its own card alone, and learning and labelling run on it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kdsl.errors import ConfigError
from kdsl.models.device import GRANTED
from udfs import gpu

pytestmark = [pytest.mark.timeout(900)]
FOUND = Path("conf/find-gpus.sh").resolve()


def _granted(root: Path, script: Path, cards: int, *more: str) -> dict[str, Any]:
    run = "from tests.mllm.granted import main; main()"  # what workers are sent must not be of a module __main__
    command = [sys.executable, "-c", run, str(root), str(script), str(cards), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False, env={**os.environ})
    told = [line for line in done.stderr.splitlines() if "ERROR" not in line and not line.lstrip().startswith("at ")]
    assert done.returncode == 0, "\n".join([done.stdout[-3000:], *told[-60:]])
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.usefixtures("spark_home")
def test_two_tasks_at_once_see_a_card_each_and_have_their_own_threads(tmp_path: Path) -> None:
    made_up = tmp_path / "two-cards.sh"  # no card is touched: a machine without any runs this
    made_up.write_text('#!/bin/sh\necho \'{"name": "gpu", "addresses": ["0", "1"]}\'\n')
    made_up.chmod(0o755)
    told = _granted(tmp_path, made_up, 2)
    assert sorted(told["seen"]) == [["0", "0", "2"], ["1", "1", "2"]]  # threads: as many as cores of a task, of Spark


@pytest.mark.gpu
@pytest.mark.usefixtures("spark_home")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_night_on_the_card_that_spark_granted(tmp_path: Path) -> None:
    address = json.loads(subprocess.run([str(FOUND)], capture_output=True, text=True, check=True).stdout)["addresses"][
        0
    ]
    told = _granted(tmp_path, FOUND, 1, "night")
    assert told["seen"] == [[address, address, "2"]]
    assert told["held"]["devices"] == ["cuda"]
    assert told["held"]["memory"] > 0
    assert told["labels"] >= 12
    assert told["silent"] == 0
    assert told["counts"]["loads"] == 1
    assert told["counts"]["reloads"] == 0


def test_the_script_says_what_spark_wants_to_hear(tmp_path: Path) -> None:
    fake = tmp_path / "nvidia-smi"  # stands in for the driver's program
    fake.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    fake.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run([str(FOUND)], capture_output=True, text=True, check=True, env={"PATH": path})
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": ["0", "1"]}


def test_a_worker_that_holds_a_card_takes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv(GRANTED, "")  # so that it is as it was afterwards
    monkeypatch.delenv(GRANTED)
    card = "0"
    told = SimpleNamespace(resources=lambda: {"gpu": SimpleNamespace(addresses=[card])})  # stands in for a task's
    monkeypatch.setattr("pyspark.TaskContext.get", lambda: told)
    gpu.claim()
    gpu.claim()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    card = "1"
    with pytest.raises(ConfigError, match=r"resource.gpu.amount: .* on GPU 0 .* GPU 1; allowed is one GPU an executor"):
        gpu.claim()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
