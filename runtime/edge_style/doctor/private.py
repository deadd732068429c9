"""What a report for others must not hold."""

import sys
from pathlib import Path
from typing import Any


def without_paths(value: Any, home: Path | None = None, prefix: str = sys.prefix) -> Any:
    """The same JSON value, the user's home written `~` and Python's folder `<python>`.

    Args:
        value: text, or lists and dictionaries of it.
        home: the user's home; found if None.
        prefix: where Python's environment is.
    """
    if home is None:
        home = Path.home()
    if isinstance(value, str):
        for folder, name in ((prefix, "<python>"), (str(home), "~")):
            if len(folder) > 1:  # a home of "/" stands for nothing
                value = value.replace(folder, name)
        return value
    if isinstance(value, dict):
        return {key: without_paths(each, home, prefix) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(each, home, prefix) for each in value]
    return value
