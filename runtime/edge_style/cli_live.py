"""What `cam` and `video` share: options, and a run with its figures.

Like all commands they import what they need when they run, so that `--help` is quick.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from edge_style.cli_common import note, print_json
from edge_style.errors import UsageError
from edge_style.shutdown import Interrupts

if TYPE_CHECKING:
    from edge_style.live import Show

StyleOption = Annotated[
    str | None,
    typer.Option(
        "--style",
        help="The style to begin with, of those that --model gives: a name or number. For a "
        "network that paints like any picture: the picture, several apart by commas, a mix such "
        "as one.jpg=0.7+two.jpg=0.3, another camera, or frame for what the camera sees.",
    ),
]
StrengthOption = Annotated[
    float,
    typer.Option(
        "--strength", min=0, max=1, help="Of the effect: 0 shows the camera, 1 the painting."
    ),
]
ColoursOption = Annotated[
    bool,
    typer.Option(
        "--keep-colours", help="Take the painting's brushwork only, the colours from the camera."
    ),
]
BlendOption = Annotated[
    str | None,
    typer.Option(
        "--blend",
        metavar="STYLE[=SHARE]",
        help="Blend another style of a many-style network in: --blend wave=0.3. Half and half "
        "without a share.",
    ),
]
STABILIZE_HELP = "Take flicker out: what stands still or moves along stays as it was."


def parse_blend(text: str | None) -> tuple[str | None, float]:
    """`wave=0.3` as ("wave", 0.3)."""
    if text is None:
        return None, 0.0
    name, has_share, share = text.rpartition("=")
    if not has_share:
        return text, 0.5
    try:
        number = float(share)
    except ValueError:
        number = -1.0
    if not name or not 0 <= number <= 1:
        raise UsageError(f"expected --blend STYLE=SHARE with a share from 0 to 1, got '{text}'")
    return name, number


def run_show(
    show: "Show",
    json_output: bool,
    interrupts: Interrupts,
    on_frame: Callable[[int], None] | None = None,
) -> None:
    """Run it, and print its figures, also when Ctrl-C was how it was to end."""
    try:
        show.run(on_frame, interrupts)
    finally:
        ended_early = isinstance(sys.exc_info()[1], Exception)
        if show.has_begun and not ended_early:
            if json_output:
                print_json(show.report())
            elif show.frames > 0:
                note(show.summary_line())
