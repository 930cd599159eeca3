"""What `spark-submit.sh` starts: check the command line without a JVM, then become spark-submit."""

import os
import signal
import sys
from pathlib import Path

from jobs import cli, console, jars
from kdsl.errors import KdslError

ROOT = Path(__file__).resolve().parent.parent
# Jobs whose driver reads a little and ends: what the JVM's better compiler costs, they never get back.
BRIEF = ("evaluate", "explain", "release", "report", "rules", "sample")
QUICK = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
CLASSES = jars.NOTED.with_name("classes.jsa")  # what `make quick` wrote


def command(argv: list[str]) -> list[str]:
    """The spark-submit command line of a job.

    Raises:
        KdslError: the settings are wrong, or Delta's jars are not there and cannot be fetched.
    """
    _, settings = cli.parse(argv)
    spark = settings.spark
    words = [jars.spark_submit(), "--master", spark.master, "--driver-memory", spark.driver_memory]
    for key, value in jars.known(settings).items():
        words += ["--conf", f"{key}={value}"]
    # Here and not in the session alone: what the driver's JVM and the executors start with cannot be set later.
    chosen = dict(spark.conf)
    log4j = (ROOT / "conf" / "log4j2.properties").as_uri()
    java = [f"-Dlog4j2.configurationFile={log4j}"]
    if spark.master.startswith("local"):
        java += [*([QUICK] if argv[0] in BRIEF else []), *_kept()]
    java += filter(None, [chosen.get("spark.driver.extraJavaOptions")])  # last: of two that differ the later one counts
    chosen["spark.driver.extraJavaOptions"] = " ".join(java)
    if "spark.pyspark.python" in chosen:
        chosen.setdefault("spark.pyspark.driver.python", sys.executable)
    for key, value in chosen.items():
        words += ["--conf", f"{key}={value}"]
    return [*words, str(ROOT / "jobs" / "run.py"), *argv]


def _kept() -> list[str]:
    """The options by which the JVM maps kept classes; it says nothing where they are those of other jars."""
    if not CLASSES.is_file():
        return []
    return [f'"-XX:SharedArchiveFile={CLASSES}"', "-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-Xlog:class+path=off"]


def main() -> int:
    """Replace this process by spark-submit."""
    try:
        words = command(sys.argv[1:])
    except KdslError as error:
        console.complain(f"{' '.join(sys.argv[1:2])}: {error}")
        return error.exit_status
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    environment = {**jars.environment(), "PYTHONPATH": path}
    if words[words.index("--master") + 1].startswith("local"):
        # The driver's core is one of those that its tasks use. Its matrices are small: a second thread doubles the
        # processor's time of `fit` and makes nothing faster.
        environment.setdefault("OMP_NUM_THREADS", "1")
    if any(word.startswith("spark.pyspark.python=") for word in words):
        del environment["PYSPARK_PYTHON"]  # it would win over the setting
    if sys.argv[1:2] == ["fit"]:  # Ctrl-C is for Python, which keeps the best rules so far: Spark's JVM must outlive it
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.execvpe(words[0], words, environment)  # noqa: S606 - no shell is meant
    return 1


if __name__ == "__main__":
    sys.exit(main())
