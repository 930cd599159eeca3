"""What marks a label that was given without a picture of the item: another input, and so another hash of it."""

import hashlib

from kdsl.dialogue import Item
from kdsl.errors import ErrorCode

MARK = "/without-"


def marked(input_hash: str, item: Item) -> str:
    """The hash of what was seen of an item: `input_hash`, with a mark of the pictures that were not there.

    While they are away the same item has the same hash; it is `input_hash` again when they are back.
    """
    # Without its file a picture may still have been read before, so that some voters see it.
    lost = {
        f"{picture.sha256}/{picture.width}"
        for picture in item.pictures
        if picture.error_code == ErrorCode.IMAGE_MISSING
    }
    if not lost:
        return input_hash
    return f"{input_hash}{MARK}{hashlib.sha256(' '.join(sorted(lost)).encode()).hexdigest()[:12]}"
