"""What can go wrong, in two families: errors that stop a job, and codes that mark one bad row.

An error that stops a job names the field, the value given, what is allowed and the next step; its
`exit_status` is what the shell sees. A code marks a row of `quarantine` or `labels` and never stops a job.
"""

from enum import StrEnum


class KdslError(Exception):
    """Base of every error raised on purpose; its message is one paragraph for the person at the terminal."""

    exit_status = 1


class ConfigError(KdslError):
    """Raised when a setting, an option or a configuration file is wrong."""

    exit_status = 2


class TaxonomyError(ConfigError):
    """Raised when a taxonomy file cannot be used."""


class LakeError(ConfigError):
    """Raised when a lake, or a table of it, is not where it was said to be."""


class ReleaseError(ConfigError):
    """Raised when a release is missing, altered, or made for another taxonomy."""


class TooMuchBadInput(KdslError):
    """Raised when the share of bad records is over the limit, so nothing but `quarantine` was written."""

    exit_status = 3


class LostToConcurrentWriter(KdslError):
    """Raised when another writer won every retry of a commit."""

    exit_status = 4


class ErrorCode(StrEnum):
    """Codes of `quarantine.error_code`, `image_features.error_code` and `labels.error_code`."""

    BROKEN_JSON = "broken_json"
    WRONG_TYPE = "wrong_type"
    MISSING_KEY = "missing_key"
    EMPTY_DIALOGUE = "empty_dialogue"
    NO_USER_TURN = "no_user_turn"
    TURN_TOO_LONG = "turn_too_long"
    TOO_MANY_TURNS = "too_many_turns"
    BAD_TEXT = "bad_text"
    MARKER_WITHOUT_IMAGE = "marker_without_image"
    IMAGE_WITHOUT_MARKER = "image_without_marker"
    IMAGE_MISSING = "image_missing"
    IMAGE_EMPTY = "image_empty"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_UNREADABLE = "image_unreadable"
    PATH_OUTSIDE_ROOT = "path_outside_root"
    PATH_IS_URL = "path_is_url"
    DUPLICATE_ID = "duplicate_id"
    UNKNOWN_LABEL = "unknown_label"
    BAD_DATE = "bad_date"
    VOTER_FAILED = "voter_failed"


class BadRow(Exception):
    """One bad row or picture: a code for the lake and a message that never holds the row's own text."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code.value}: {message}")
        self.code = code
        self.message = message


def reason(error: Exception) -> str:
    """What a library raised, for a message of ours: its type, and a first line that is no longer than a line."""
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0][:300] if first else ''}"
