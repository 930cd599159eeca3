"""The key of cached held-out votes holds every file that they are made of, and changes with each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import imported

# Makes votes as `bench.mire_votes.held` does, and prints the files of ours that ran.
MAKES_VOTES = """
import json, sys
from bench import mire, mire_votes
from kdsl.dialogue import Item, Turn
task = mire.task("intent")
gold = [label for label in task.label_names[:2] for _ in range(12)]
items = [Item(f"i{row}", "intent", (Turn("user", f"{label} number {row}"),)) for row, label in enumerate(gold)]
for voter, options in {"rules": {"rules_budget": 20}, "linear": {}}.items():
    assert voter in mire_votes.VOTERS
    mire_votes.hear(mire_votes.kind(voter), task, items, gold, folds=2, seed=1, **options)
ours = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] in ("bench", "kdsl")]
print(json.dumps(sorted(filter(None, ours))))
"""


def test_the_key_holds_every_file_that_runs_when_votes_are_made() -> None:
    run = subprocess.run([sys.executable, "-c", MAKES_VOTES], capture_output=True, check=True, text=True)
    ran = {Path(file).relative_to(imported.ROOT) for file in json.loads(run.stdout.splitlines()[-1])}
    read = {file.relative_to(imported.ROOT) for file in imported.files("bench.mire_votes")}
    for made_of in ("kdsl/models/linear.py", "kdsl/rules/search.py", "kdsl/learn.py", "bench/mire_votes.py"):
        assert Path(made_of) in ran
    assert ran <= read
    for later in ("kdsl/estimate.py", "kdsl/shares.py", "kdsl/fusion/nested.py", "bench/estimate.py"):
        assert Path(later) not in read


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in {
        "made/__init__.py": "",
        "made/votes.py": "import os\nfrom made import near\n\ndef vote():\n    from made.deep.far import far\n",
        "made/near.py": "",
        "made/deep/__init__.py": "from made.deep import beside\n",
        "made/deep/beside.py": "",
        "made/deep/far.py": "import made.votes\n",
        "made/estimate.py": "import made.votes\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("file", ["votes.py", "near.py", "deep/far.py", "deep/__init__.py", "deep/beside.py"])
def test_a_change_of_what_is_imported_anywhere_changes_the_digest(package: Path, file: str) -> None:
    before = imported.digest("made.votes", package)
    with (package / "made" / file).open("a") as source:
        source.write("x = 1\n")
    assert imported.digest("made.votes", package) != before


def test_what_only_comes_after_does_not(package: Path) -> None:
    before = imported.digest("made.votes", package)
    (package / "made" / "estimate.py").write_text("x = 1\n")
    assert imported.digest("made.votes", package) == before
    assert imported.digest("made.estimate", package) != before


@pytest.mark.parametrize("line", ["from . import far", "import importlib\nimportlib.import_module('made.' + x)"])
def test_an_import_that_cannot_be_followed_is_refused(package: Path, line: str) -> None:
    (package / "made" / "near.py").write_text(line)
    with pytest.raises(ValueError, match=r"near\.py:\d: write the import"):
        imported.digest("made.votes", package)
    with pytest.raises(ValueError, match=r"'made\.none' is not under"):
        imported.files("made.none", package)
