"""A release that `fit` finds again and that is not whole: it goes aside, and is learned anew."""

from itertools import count

from jobs import console
from jobs.shelf import BROKEN, Shelf
from kdsl.errors import ReleaseError
from kdsl.release import Release


def found_whole(shelf: Shelf, release_id: str) -> Release | None:
    """The release, where it is there; None where it is not, or was broken and its folder has another name now.

    Raises:
        ReleaseError: it lies broken on a store, where this renames nothing.
    """
    try:
        return shelf.found(release_id)
    except ReleaseError as error:
        if shelf.remote:
            there = f"{shelf.where}/{release_id}"
            raise ReleaseError(
                f"{error} If it is {there} itself that is broken, move that to {there}{BROKEN}1 and `fit` again."
            ) from error
        place = shelf.fresh / release_id
        names = (place.with_name(f"{release_id}{BROKEN}{n}") for n in count(1))
        aside = next(name for name in names if not name.exists())
        place.rename(aside)
        console.say(f"{error} `fit` keeps the folder as {aside.name} and learns {release_id} anew.")
        return None
