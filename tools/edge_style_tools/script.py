"""How the programs beside this package end: as the command line does, one line and status 2."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from edge_style.errors import EdgeStyleError

USAGE_STATUS = 2  # as `edge_style.cli`'s


def run_script(main: Callable[[], int | None]) -> NoReturn:
    """Run `main`, and exit with the status that it returns (0 for None), or 2 after a mistake."""
    try:
        status = main()
    except EdgeStyleError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        status = USAGE_STATUS
    sys.exit(status or 0)


def at_least(minimum: int) -> Callable[[str], int]:
    """A `type` of argparse: a whole number, `minimum` or more."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(
                f"expected a whole number, {minimum} or more, not {text}"
            )
        return value

    return number
