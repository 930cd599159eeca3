"""What `ingest` counts and says."""

from collections.abc import Mapping

from jobs import console
from jobs.ingest_staged import Staged
from jobs.ledger import Run
from kdsl.config import IngestSettings
from kdsl.importers.options import Options


def count(run: Run, staged: Staged) -> None:
    """Add the counts of what was parsed to the run."""
    run.count("records", staged.records)
    run.count("refused", staged.refused)
    run.count("collapsed", staged.collapsed)
    run.count("gold", staged.gold)
    run.count("unlabelled", staged.unlabelled)
    for code, number in sorted(staged.codes.items()):
        run.count(f"bad_{code}", number)


def too_much(options: Options, settings: IngestSettings, staged: Staged) -> str:
    """The message of an input that is refused as a whole, with counts by code and the next step."""
    return (
        f"{staged.refused:,} of {staged.records:,} records of {options.path} are bad ({staged.bad_share:.1%}; at most "
        f"{settings.max_bad_share:.1%} may be): {_listed(staged.codes)}. Nothing went in but the table quarantine, "
        "which names each record and its fault; look at it with the job sql. Mend the input, check that it is of "
        f"--format {options.format}, or allow more with --max-bad-share."
    )


def tell(run: Run) -> None:
    """Say what became of the input."""
    n = run.counts
    for what, name in (("conversations", "conversations"), ("pictures", "images")):
        moved, updated = n[f"{name}_moved"], n[f"{name}_updated"]
        removed = f", {n['images_removed']:,} removed" if name == "images" and n["images_removed"] else ""
        console.say(
            f"{n[f'{name}_new']:,} {what} added; {updated + moved:,} {what} updated, {moved:,} moved to another date; "
            f"{n[f'{name}_same']:,} unchanged{removed}"
        )
    again = f"; {n['collapsed']:,} came twice with the same content" if n["collapsed"] else ""
    codes = {key.removeprefix("bad_"): number for key, number in n.items() if key.startswith("bad_")}
    bad = f": {_listed(codes)}" if codes else ""
    blank = f"; {n['unlabelled']:,} lines without a label" if n["unlabelled"] else ""
    console.say(
        f"{n['gold']:,} gold labels; {n['refused']:,} of {n['records']:,} records in quarantine{bad}{blank}{again}"
    )


def _listed(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {number:,}" for code, number in sorted(codes.items(), key=lambda x: (-x[1], x[0])))
