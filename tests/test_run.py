"""How a job ends: its exit status, what the terminal says, how far a long stage says it is."""

import threading
import time
from types import SimpleNamespace

import pyarrow as pa
import pytest

from jobs import console, ledger, run, scores, session
from kdsl.errors import ConfigError, LostToConcurrentWriter, ReleaseError, TooMuchBadInput
from udfs.unquoted import unquoted


@pytest.mark.parametrize(
    ("raised", "status", "says"),
    [
        (None, 0, ""),
        (ConfigError("give another"), 2, "sql: give another"),
        (TooMuchBadInput("too much"), 3, "sql: too much"),
        (LostToConcurrentWriter("lost"), 4, "sql: lost"),
        (ValueError("my card is 4000"), 1, "sql failed: ValueError. The stack trace is in"),
        (SystemExit(0), 1, "sql failed: SystemExit"),
        (KeyboardInterrupt(), 130, "sql: stopped. Run the same command again"),
    ],
)
def test_the_exit_status_tells_how_a_job_ended(tmp_path, monkeypatch, capsys, raised, status, says):
    def job(*_):
        if raised is not None:
            raise raised

    stopped = []
    monkeypatch.setattr(session, "build", lambda *_: SimpleNamespace(stop=lambda: stopped.append(1)))
    monkeypatch.setattr(run.cli, "module", lambda name, module=run.cli.module: _with(module(name), job, name == "sql"))
    assert run.main(["sql", "--set", f"log_dir={tmp_path}", "SELECT 1"]) == status
    said = capsys.readouterr().err
    assert says in said
    assert "4000" not in said + "".join(file.read_text() for file in tmp_path.iterdir())
    assert "Traceback" not in said
    assert stopped


def _with(module, job, ours):
    return SimpleNamespace(SUMMARY=module.SUMMARY, add_arguments=module.add_arguments, run=job) if ours else module


def _raised_on_a_worker(spark, error):
    """What Spark makes of it."""

    @unquoted
    def work(batches):
        for _ in batches:
            raise error
            yield pa.RecordBatch.from_pylist([])

    with pytest.raises(Exception, match=r"PythonException|Traceback") as caught:
        spark.range(3).mapInArrow(work, "id LONG").collect()
    return caught.value


def test_what_a_worker_says_on_purpose_reaches_the_terminal(spark, tmp_path, capsys):
    raised = _raised_on_a_worker(spark, ReleaseError("release rel-1 on this node was altered; copy it again."))
    assert console.fail(raised, str(tmp_path), "label") == ReleaseError.exit_status
    assert capsys.readouterr().err.strip() == "label: release rel-1 on this node was altered; copy it again."
    assert console.reason(raised) == "release rel-1 on this node was altered; copy it again."
    assert "was altered" in next(tmp_path.iterdir()).read_text()


def test_what_a_worker_did_not_foresee_is_left_out(spark, tmp_path, capsys):
    raised = _raised_on_a_worker(spark, ValueError("\nkdsl.errors.ReleaseError: my card is 4000"))
    assert console.fail(raised, str(tmp_path), "label") == 1
    assert "4000" not in capsys.readouterr().err + next(tmp_path.iterdir()).read_text()


def test_a_long_stage_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(console, "_looking", lambda *given, looking=console._looking: looking(*given[:-1], 0.02))
    seconds: dict[str, float] = {}
    with console.stage("predict", seconds, lambda: (3, 8)):
        time.sleep(0.2)
    assert "predict: 3 of 8 tasks after 0 s" in capsys.readouterr().out
    with console.stage("learn", seconds, lambda: (0, 0)):
        time.sleep(0.2)
    assert "  learn: 0 s" in capsys.readouterr().out.splitlines()
    assert seconds["predict"] >= 0.2
    assert not [thread for thread in threading.enumerate() if thread.name == "shows predict"]


def test_spark_is_asked_how_far_it_is(spark):
    tracker = spark.sparkContext.statusTracker()
    assert ledger._tasks(tracker) == (0, 0)

    @unquoted
    def slow(batches):
        for batch in batches:
            time.sleep(3)
            yield batch

    work = threading.Thread(target=lambda: spark.range(0, 2, 1, 2).mapInArrow(slow, "id LONG").collect())
    work.start()
    seen = []
    while work.is_alive():
        seen.append(ledger._tasks(tracker))
        time.sleep(0.1)
    work.join()
    assert max(of for _, of in seen) == 2
    assert all(done <= of for done, of in seen)


def test_what_strangers_write_neither_steers_a_terminal_nor_vanishes_as_markup(capsys) -> None:
    console.say("a\x1b]52;c;x\x07b [bold]c\nd")
    assert capsys.readouterr().out == "a\ufffd]52;c;x\ufffdb [bold]c\nd\n"
    f1 = {"weighted_f1": 1, "low": 1, "high": 1, "macro_f1": 1, "macro_f1_interval": [1, 1], "accuracy": 1, "n": 3}
    names = {
        "refund [partial]": {"f1": 1, "low": 1, "high": 1, "n": 2},
        "a[/or]\x1b[31m": {"f1": 1, "low": 1, "high": 1, "n": 1},
    }
    task = {**f1, "accuracy_interval": [1, 1], "labels": names, "confused": []}
    scores.show({"tasks": {"intent": task}, "voters": {}, "overall_weighted_f1": 1}, {})
    shown = capsys.readouterr().out
    assert "refund [partial]" in shown
    assert "a[/or]\ufffd[31m" in shown


def test_a_job_ends_by_its_own_error_where_the_run_cannot_be_noted(spark, tmp_path, capsys):
    def lost(*_):
        raise LostToConcurrentWriter("too many writers")

    # A fake: no lake loses every time.
    lake = SimpleNamespace(root=str(tmp_path), spark=spark, versions=lambda _: {}, append=lost)
    with pytest.raises(ConfigError, match="mine"), ledger.recorded(lake, "fit", {}, (), ()):
        raise ConfigError("mine")
    assert "fit: the run could not be noted in the table runs: too many writers" in capsys.readouterr().err
    with pytest.raises(LostToConcurrentWriter), ledger.recorded(lake, "fit", {}, (), ()):
        pass
