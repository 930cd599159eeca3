"""The program that spark-submit runs: one job, in one session, with an exit status that tells how it ended."""

import contextlib
import os
import signal
import sys

from jobs import cli, console


def main(argv: list[str]) -> int:
    """Run the job that `argv` names; the exit status: 0 done, 2 usage, 3 bad input, 4 lost a race, 1 anything else."""
    args, settings = cli.parse(argv)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is inherited as ignored, see `jobs.launch`
    try:
        from jobs import session

        spark = session.build(settings, args.job)
    except BaseException as error:  # noqa: BLE001 - whatever stops the session is reported in one paragraph
        return console.fail(error, settings.log_dir, args.job)
    try:
        cli.module(args.job).run(spark, settings, args)
    except BaseException as error:  # noqa: BLE001 - a failing job is never 0, and never a bare stack trace
        return console.fail(error, settings.log_dir, args.job)
    finally:
        with contextlib.suppress(Exception):  # a JVM that died takes nothing from what was said
            spark.stop()
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Spark's gateway threads outlive a Ctrl-C; the status must not
