"""The one error of the rule base."""

from collections.abc import Sequence

from kdsl.errors import ConfigError

SHOWN = 50


class RuleError(ConfigError):
    """Raised when a rule, a rule file or a rule set cannot be used."""


def all_faults(source: str, faults: Sequence[str]) -> RuleError:
    """One error that lists the faults of a source, the first `SHOWN` in full."""
    shown = "\n  ".join(faults[:SHOWN])
    more = f"\n  and {len(faults) - SHOWN:,} faults more" if len(faults) > SHOWN else ""
    return RuleError(f"{source} cannot be used:\n  {shown}{more}")
