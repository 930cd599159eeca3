"""The command line answers without a JVM: help, wrong usage and wrong settings."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import cli, jars, launch, options
from kdsl.config import Settings, SparkSettings
from kdsl.errors import ConfigError


def _launched(*argv: str) -> tuple[int, str, str]:
    """Status, output and errors of the launcher as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "jobs.launch", *argv], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def launched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The same in this process, which must not become spark-submit."""

    def call(*argv: str) -> tuple[int, str, str]:
        monkeypatch.setattr(launch.sys, "argv", ["launch", *argv])
        monkeypatch.setattr(launch.os, "execvpe", lambda *_: pytest.fail("started spark-submit"))
        try:
            status = launch.main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        return (status, *capsys.readouterr())

    return call


@pytest.mark.parametrize("job", ["", *cli.JOBS])
def test_every_job_has_help(job: str, launched: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = launched(*job.split(), "--help")
    assert status == 0, err
    assert all(name in out for name in (("--lake", "--conf") if job else cli.JOBS))


def test_the_program_ends_as_its_main_function_does() -> None:
    assert _launched("--help")[0] == 0
    status, _, err = _launched("fit", "--set", "fit.fold=3")
    assert (status, "known here: voters, folds" in err, "Traceback" in err) == (2, True, False)
    status, _, err = _launched("fit", "--unknown")
    assert (status, "--unknown" in err, "Traceback" in err) == (2, True, False)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((), "JOB"),
        (("lable",), "invalid choice: 'lable'"),
        (("label", "--from", "2026-01-01"), "--to"),
        (("label", "--from", "2026-13-01", "--to", "2026-01-02"), "'2026-13-01' is no day"),
        (
            ("fit", "--set", "fit.folds=1"),
            "fit.folds (command line): Input should be greater than or equal to 2, given 1",
        ),
        (
            ("fit", "--budget", "0"),
            "fit.rules_budget (command line): Input should be greater than or equal to 1, given 0",
        ),
        # It failed after all had been learned.
        (("fit", "--set", "fit.seed=-1"), "fit.seed (command line): Input should be greater than or equal to 0"),
        (("fit", "--set", "fit.fold=3"), "known here: voters, folds"),
        (("fit", "--set", "folds"), "has no '='"),
        (("fit", "--set", "folds", "--set", "fit.folds=1"), "fit.folds (command line)"),
        (("label", "--from", "2026-01-05", "--to", "2026-01-02"), "--from 2026-01-05 lies after --to 2026-01-02"),
        (("fit", "--conf", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("fit", "--unknown"), "--unknown"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_allowed(
    argv: tuple[str, ...], says: str, launched: Callable[..., tuple[int, str, str]]
) -> None:
    status, _, err = launched(*argv)
    assert status == 2
    assert says in err
    assert "Traceback" not in err


def test_budget_is_the_iterations_of_the_search_for_rules() -> None:
    assert cli.parse(["fit", "--budget", "7"])[1].fit.rules_budget == 7
    assert cli.parse(["fit", "--set", "fit.rules_budget=8"])[1].fit.rules_budget == 8


def test_the_command_is_spark_submit_of_the_installed_pyspark() -> None:
    words = launch.command(["fit", "--lake", "l", "--master", "local[3]"])
    assert Path(words[0]).is_file()
    assert words[0].endswith("pyspark/bin/spark-submit")
    assert words[words.index("--master") + 1] == "local[3]"
    assert words[-6:] == [str(launch.ROOT / "jobs" / "run.py"), "fit", "--lake", "l", "--master", "local[3]"]


def test_classes_that_were_kept_are_mapped_by_a_driver_of_this_machine_alone(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(launch, "CLASSES", tmp_path / "with space" / "classes.jsa")
    asked = {
        "none kept": launch.command(["fit", "--lake", "l", "--master", "local[3]"]),
    }
    launch.CLASSES.parent.mkdir()
    launch.CLASSES.touch()
    for master in ("local[3]", "spark://host:7077"):
        asked[master] = launch.command(["fit", "--lake", "l", "--master", master])
    java = {
        name: next(word for word in words if word.startswith("spark.driver.extraJavaOptions="))
        for name, words in asked.items()
    }
    kept = f'"-XX:SharedArchiveFile={launch.CLASSES}"'
    assert {name: kept in options for name, options in java.items()} == {
        "none kept": False,
        "local[3]": True,
        "spark://host:7077": False,
    }


@pytest.mark.parametrize(
    ("master", "set_before", "threads"),
    [("local[2]", None, "1"), ("local[2]", "4", "4"), ("spark://host:7077", None, None)],
)
def test_a_local_driver_has_one_thread_for_its_small_matrices(monkeypatch, master, set_before, threads) -> None:
    """Unless the environment says otherwise; on a cluster nobody else works on the driver's cores."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if set_before:
        monkeypatch.setenv("OMP_NUM_THREADS", set_before)
    given: dict[str, str] = {}
    monkeypatch.setattr(launch.os, "execvpe", lambda _file, _words, environment: given.update(environment))
    monkeypatch.setattr(launch.sys, "argv", ["launch", "evaluate", "--lake", "l", "--master", master])
    launch.main()
    assert given.get("OMP_NUM_THREADS") == threads


@pytest.mark.parametrize(
    "words", [("release", "diff", "a", "--shown"), ("rules", "diff", "a", "--rows"), ("sql", "q", "--rows")]
)
def test_a_number_of_rows_below_0_is_refused(launched, words) -> None:
    status, _, told = launched(*words, "-1", "--lake", "l")
    assert status == ConfigError.exit_status
    assert f"{words[-1]}: '-1' is no whole number from 0 on" in told


def test_a_file_that_an_option_names_is_written_or_refused_with_the_option(tmp_path: Path) -> None:
    options.write("--out", tmp_path / "new" / "page.html", "ä")
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == "ä"
    with pytest.raises(
        ConfigError, match=r"--out: .*page\.html/x cannot be written \(.*name a file in a folder you own"
    ):
        options.write("--out", tmp_path / "new" / "page.html" / "x", "")


def test_spark_settings_reach_spark_submit() -> None:
    given = ["--set", "spark.conf.spark.executor.memory=3g", "--set", "spark.conf.spark.driver.extraJavaOptions=-Xss8m"]
    words = launch.command(["fit", *given])
    assert "spark.executor.memory=3g" in words
    assert [word for word in words if word.startswith("spark.driver.extraJavaOptions=") and word.endswith(" -Xss8m")]


@pytest.mark.parametrize(
    ("job", "master", "quick"),
    [
        (["release", "list"], "local[2]", True),
        (["explain", "--item", "i"], "local[2]", True),
        (["label", "--from", "2026-01-05", "--to", "2026-01-05"], "local[2]", False),
        (["sql", "SELECT 1"], "local[2]", False),
        (["release", "list"], "spark://host:7077", False),
    ],
)
def test_brief_jobs_on_this_machine_start_with_the_quick_compiler_alone(job, master, quick) -> None:
    given = ["--set", "spark.conf.spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=4"]
    words = launch.command([*job, "--lake", "l", "--master", master, *given])
    [java] = [word for word in words if word.startswith("spark.driver.extraJavaOptions=")]
    assert (launch.QUICK in java) is quick
    assert java.endswith("-XX:TieredStopAtLevel=4")  # the later one counts


def test_named_jars_are_used_and_missing_ones_refused(tmp_path: Path) -> None:
    jar = tmp_path / "delta.jar"
    jar.touch()
    assert jars.spark_options(Settings(spark=SparkSettings(jars=str(jar)))) == {"spark.jars": str(jar)}
    with pytest.raises(ConfigError, match=r"gone\.jar is no file"):
        jars.spark_options(Settings(spark=SparkSettings(jars=f"{jar},{tmp_path}/gone.jar")))


def test_jars_named_at_set_up_are_noted_and_nothing_is_fetched(tmp_path: Path, monkeypatch) -> None:
    jar, noted = tmp_path / "delta.jar", tmp_path / "cache" / "jars.txt"
    jar.touch()
    monkeypatch.setattr(jars, "NOTED", noted)
    monkeypatch.setattr(jars, "fetch", lambda: pytest.fail("went to the network"))
    monkeypatch.setenv("KDSL_JARS", str(jar))
    assert jars.main() == 0
    monkeypatch.delenv("KDSL_JARS")
    assert jars.spark_options(Settings()) == {"spark.jars": str(jar)}
    monkeypatch.setenv("KDSL_JARS", f"{tmp_path}/gone.jar")
    assert jars.main() == ConfigError.exit_status


def test_jars_are_fetched_while_packages_are_still_being_installed() -> None:
    asked = "import sys, jobs.jars; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    assert not {"pydantic", "yaml", "omegaconf", "pyarrow", "numpy"} & set(told.stdout.split())


def test_a_job_without_jars_fetches_them_and_says_what_stands_in_the_way(tmp_path: Path, monkeypatch, capsys) -> None:
    printed = ":: download failed: io.delta#delta-storage;4.4.0 :: local-m2-cache"
    monkeypatch.setattr(jars, "NOTED", tmp_path / "jars.txt")
    monkeypatch.setattr(jars.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", printed))
    monkeypatch.setattr(launch.sys, "argv", ["launch", "fit"])
    assert launch.main() == 1
    assert "mv ~/.m2/repository" in capsys.readouterr().err


def test_files_on_this_machine_are_made_without_a_process_each(tmp_path: Path) -> None:
    jar = tmp_path / f"x_{jars.LOCAL_FILES.split(':')[1]}-0.1.0.jar"
    jar.touch()

    def options(**spark: object) -> set[str]:
        return set(jars.spark_options(Settings(spark=SparkSettings.model_validate({"jars": str(jar), **spark}))))

    faster = {"spark.driver.extraClassPath", "spark.hadoop.fs.file.impl"}
    assert options(master="local[2]") == {"spark.jars", *faster}
    assert options(master="local-cluster[2,1,1024]") == options(master="yarn") == {"spark.jars"}
    assert options(master="local[2]", conf={"spark.driver.extraClassPath": "own.jar"}) == {"spark.jars"}


def test_a_partly_filled_maven_cache_is_recognised() -> None:
    printed = (
        "[NOT FOUND] io.delta#delta\n==== local-m2-cache: tried\n:: download failed: io.delta#delta-storage;4.4.0 ::"
    )
    assert "mv ~/.m2/repository" in str(jars.advice(printed))
    assert "KDSL_JARS" in str(jars.advice("sbt.ResolveException: unresolved dependency: io.delta#delta"))
    assert jars.advice("something else") is None
