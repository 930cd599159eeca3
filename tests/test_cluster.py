"""The label job on more than one process: a local cluster, and a real standalone master and worker."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs import jars
from kdsl.demo import shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
SMALL = ["--set", "fit.encoder=", "--set", "fit.folds=2"]


def _job(root: Path, master: str, *words: str) -> str:
    command = [
        "./spark-submit.sh",
        *words,
        "--lake",
        f"{root}/lake",
        "--releases",
        f"{root}/releases",
        "--master",
        master,
    ]
    done = subprocess.run([*command, *SMALL], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _night(root: Path, master: str) -> None:
    files = shop.write(
        root / "shop", days=1, dialogues_a_day=6, examples=3, train_pictures=1, test_pictures=1, broken_pictures=0
    )
    _job(root, "local[2]", "ingest", "--format", "jsonl", "--input", str(files.history), "--split", "train")
    _job(root, "local[2]", "ingest", "--format", "jsonl", "--input", str(files.nights), "--split", "test")
    _job(root, "local[2]", "fit")
    day = str(files.first_night)
    told = _job(root, master, "label", "--from", day, "--to", day)
    labelled = re.search(r"labelled (\d+) items of 1 dates", told)
    assert labelled, told
    assert int(labelled[1]) > 6
    again = _job(root, master, "label", "--from", day, "--to", day)
    assert "nothing to do: no item is pending" in again
    query = "SELECT count(*), count(DISTINCT item_id, task), count(label) FROM labels"
    assert _job(root, "local[2]", "sql", query, "--csv").splitlines()[-1] == ",".join([labelled[1]] * 3)


def test_label_on_a_local_cluster(tmp_path: Path, spark_home: Path) -> None:
    _night(tmp_path, "local-cluster[2,1,1024]")
    assert list((spark_home / "work").iterdir())


def test_label_on_a_standalone_master_and_worker(tmp_path: Path) -> None:
    with _standalone(tmp_path / "spark") as master:
        _night(tmp_path, master)


@contextmanager
def _standalone(folder: Path) -> Iterator[str]:
    """A master and one worker of this installation, on this machine, stopped at the end."""
    folder.mkdir()
    spark_class = str(Path(jars.spark_submit()).with_name("spark-class"))
    environment = {**jars.environment(), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOG_DIR": str(folder)}
    environment |= {"PYTHONPATH": os.getcwd(), "PYSPARK_PYTHON": sys.executable}
    master = "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"
    log = folder / "master.log"
    started = []
    try:
        with log.open("w") as out:
            started.append(subprocess.Popen([spark_class, *master], env=environment, stdout=out, stderr=out))
        url = _appears(log, r"Starting Spark master at (spark://\S+)")
        worker = (
            "org.apache.spark.deploy.worker.Worker",
            "--host",
            "127.0.0.1",
            "--webui-port",
            "0",
            "-c",
            "2",
            "-m",
            "2g",
        )
        work = folder / "worker.log"
        with work.open("w") as out:
            words = [spark_class, *worker, "-d", str(folder / "work"), url]
            started.append(subprocess.Popen(words, env=environment, stdout=out, stderr=out))
        _appears(work, "Successfully registered with master")
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def _appears(log: Path, pattern: str, seconds: float = 90) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = re.search(pattern, log.read_text())
        if found:
            return found[found.re.groups]
        time.sleep(0.2)
    raise AssertionError(f"{pattern!r} never came:\n{log.read_text()[-2000:]}")
