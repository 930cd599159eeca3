"""Delta's jars: local ones where they are named or were fetched before, else Spark's own resolver.

`python -m jobs.jars` (part of `make setup`) fetches them once into Spark's Ivy cache and notes their paths, so that
every later start needs no network. It runs while other packages are still being installed, and needs none but pyspark.

One jar more is fetched where it can be had: Hadoop without its native library starts a `chmod` for every file and
folder that it makes on a local disk, which is most of what a small file costs; `LOCAL_FILES` sets permissions itself.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.session import DELTA_PACKAGE
from kdsl.errors import ConfigError, KdslError

if TYPE_CHECKING:
    from kdsl.config import Settings

LOCAL_FILES = "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0"
_LOCAL_FILES_CLASS = "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"

NOTED = Path(__file__).resolve().parent.parent / ".cache" / "delta-jars.txt"
_PROBE = """\
from pyspark.java_gateway import launch_gateway

print("JARS", launch_gateway().jvm.System.getProperty("spark.jars"))
"""


def spark_options(settings: "Settings") -> dict[str, str]:
    """`spark.jars` where local jars are known, else `spark.jars.packages`.

    Raises:
        ConfigError: a jar that the configuration names is not there.
    """
    jars = _there(settings.spark.jars) if settings.spark.jars else _noted()
    if not jars:
        return {"spark.jars.packages": DELTA_PACKAGE}
    return {"spark.jars": ",".join(jars), **_local_files(settings, jars)}


def _there(named: str) -> list[str]:
    """The jars of a list separated by commas; raises ConfigError if one is no file."""
    jars = named.split(",")
    missing = [jar for jar in jars if "://" not in jar and not Path(jar).is_file()]
    if missing:
        raise ConfigError(
            f"spark.jars (or KDSL_JARS): {', '.join(missing)} is no file; name the jars of {DELTA_PACKAGE} "
            "and what it needs, separated by commas, or leave it empty to have Spark fetch them."
        )
    return jars


def _noted() -> list[str]:
    """The jars that were fetched before; empty if there are none, or not all, or those of another Delta."""
    packages, *jars = (NOTED.read_text().split() if NOTED.is_file() else []) or [""]
    fit = packages.split(",")[0] == DELTA_PACKAGE and all(Path(jar).is_file() for jar in jars)
    return jars if fit else []


def _note(packages: str, jars: Sequence[str]) -> None:
    NOTED.parent.mkdir(parents=True, exist_ok=True)
    NOTED.write_text("\n".join([packages, *jars]) + "\n")


def _local_files(settings: "Settings", jars: Sequence[str]) -> dict[str, str]:
    """The settings by which a session on this machine alone makes its files without a process each."""
    name = LOCAL_FILES.split(":")[1]
    own = "spark.driver.extraClassPath"  # Hadoop looks for the class before Spark has added its jars
    jar = next((jar for jar in jars if name in Path(jar).name), None)
    if jar is None or own in settings.spark.conf or not settings.spark.master.startswith("local["):
        return {}
    return {own: jar, "spark.hadoop.fs.file.impl": _LOCAL_FILES_CLASS}


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
        KdslError: Delta's cannot be had; says what to do.
    """
    probe = NOTED.with_name("probe.py")
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.write_text(_PROBE)
    output = ""
    for packages in (f"{DELTA_PACKAGE},{LOCAL_FILES}", DELTA_PACKAGE):
        done = subprocess.run(
            [spark_submit(), "--master", "local[1]", "--packages", packages, str(probe)],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env=environment(),
        )
        output = done.stdout + done.stderr
        line = next((line for line in done.stdout.splitlines() if line.startswith("JARS ")), None)
        if done.returncode == 0 and line is not None:
            jars = [jar.removeprefix("file://") for jar in line.removeprefix("JARS ").split(",")]
            _note(packages, jars)
            return jars
    tail = "\n".join(output.splitlines()[-15:])
    raise KdslError(advice(output) or f"Delta's jars could not be fetched:\n{tail}")


def known(settings: "Settings") -> dict[str, str]:
    """`spark_options` with local jars; where none are known they are fetched first.

    Raises:
        KdslError: see `spark_options` and `fetch`.
    """
    options = spark_options(settings)
    if "spark.jars" not in options:
        print(f"fetching {DELTA_PACKAGE} ...", file=sys.stderr, flush=True)
        fetch()
        options = spark_options(settings)
    return options


def main() -> int:
    """Fetch the jars, unless they are named in KDSL_JARS or known already; note where they are for later starts."""
    try:
        if named := os.environ.get("KDSL_JARS"):
            _note(DELTA_PACKAGE, _there(named))
        elif not _noted():
            fetch()
    except KdslError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
