"""Delta's jars: local ones where they are named or were fetched before, else Spark's own resolver.

`python -m jobs.jars` (part of `make setup`) fetches them once into Spark's Ivy cache and notes their paths, so that
every later start needs no network.
"""

import os
import subprocess
import sys
from pathlib import Path

from jobs.session import DELTA_PACKAGE
from kdsl.config import Settings
from kdsl.errors import ConfigError, KdslError

NOTED = Path(__file__).resolve().parent.parent / ".cache" / "delta-jars.txt"
_PROBE = "import pyspark.sql as s; b=s.SparkSession.builder.getOrCreate(); print('JARS', b.conf.get('spark.jars'))"


def spark_options(settings: Settings) -> dict[str, str]:
    """`spark.jars` where local jars are known, else `spark.jars.packages`.

    Raises:
        ConfigError: a jar that the configuration names is not there.
    """
    if settings.spark.jars:
        missing = [jar for jar in settings.spark.jars.split(",") if "://" not in jar and not Path(jar).is_file()]
        if missing:
            raise ConfigError(
                f"spark.jars (or KDSL_JARS): {', '.join(missing)} is no file; name the jars of {DELTA_PACKAGE} "
                "and what it needs, separated by commas, or leave it empty to have Spark fetch them."
            )
        return {"spark.jars": settings.spark.jars}
    if NOTED.is_file():
        jars = NOTED.read_text().split()
        if jars and jars[0] == DELTA_PACKAGE and all(Path(jar).is_file() for jar in jars[1:]):
            return {"spark.jars": ",".join(jars[1:])}
    return {"spark.jars.packages": DELTA_PACKAGE}


def spark_submit() -> str:
    """The spark-submit that belongs to the installed pyspark."""
    return str(_spark_home() / "bin" / "spark-submit")


def environment() -> dict[str, str]:
    """This process's environment, with Spark and the workers' Python set to those of this installation."""
    return {"SPARK_HOME": str(_spark_home()), "PYSPARK_PYTHON": sys.executable, **os.environ}


def _spark_home() -> Path:
    import pyspark

    return Path(pyspark.__file__).resolve().parent


def advice(output: str) -> str | None:
    """What to do about a failed resolution, from what Spark printed; None where it is something else."""
    if "local-m2-cache" in output and "download failed" in output:
        return (
            f"Delta's jars could not be fetched: the Maven cache ~/.m2/repository holds some of {DELTA_PACKAGE} "
            "without its jars, and Spark's resolver takes what is there for whole. Move that folder away "
            "(mv ~/.m2/repository ~/.m2/repository.old) and run `make setup` again."
        )
    if "unresolved dependency" in output or "UNRESOLVED DEPENDENCIES" in output:
        return (
            f"Delta's jars ({DELTA_PACKAGE}) could not be fetched: Maven Central did not answer. Go online once for "
            "`make setup`, or put the jars on this machine and name them in KDSL_JARS, separated by commas."
        )
    return None


def fetch() -> list[str]:
    """Resolve the jars by Spark's own `--packages` and note their paths.

    Raises:
        KdslError: they cannot be had; says what to do.
    """
    probe = NOTED.with_name("probe.py")
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.write_text(_PROBE)
    done = subprocess.run(
        [spark_submit(), "--master", "local[1]", "--packages", DELTA_PACKAGE, str(probe)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=environment(),
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("JARS ")), None)
    if done.returncode or line is None:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise KdslError(advice(done.stdout + done.stderr) or f"Delta's jars could not be fetched:\n{tail}")
    jars = [jar.removeprefix("file://") for jar in line.removeprefix("JARS ").split(",")]
    NOTED.write_text("\n".join([DELTA_PACKAGE, *jars]) + "\n")
    return jars


def main() -> int:
    """Fetch the jars unless they are known already."""
    try:
        if "spark.jars" not in spark_options(Settings()):
            print(f"fetching {DELTA_PACKAGE} ...", flush=True)
            fetch()
    except KdslError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
