"""What the person in front of the show wants, in one place.

Keys, the web page and the options never change anything themselves: they give `Command`s. The run
obeys them one by one, each makes new `Controls` of the old ones, and every part of the show gets
those. Nothing here draws, and nothing but the standard library is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from edge_style.errors import UsageError

CommandName: TypeAlias = Literal[
    "quit",
    "pause",
    "next",
    "previous",
    "style",
    "partner",
    "blend",
    "strength",
    "colours",
    "steady",
    "mirror",
    "split",
    "edge",
    "snapshot",
    "record",
    "fullscreen",
    "help",
    "figures",
    "adopt",
]
COMMAND_NAMES: tuple[CommandName, ...] = get_args(CommandName)

_SWITCHES: dict[str, str] = {
    "pause": "is_paused",
    "colours": "keeps_colours",
    "steady": "is_steady",
    "mirror": "is_mirrored",
    "split": "is_split",
    "record": "is_recording",
    "fullscreen": "is_full_screen",
    "help": "shows_help",
    "figures": "shows_figures",
}
_SHARES = ("strength", "edge", "blend")


@dataclass(frozen=True, slots=True)
class Command:
    """One wish.

    Attributes:
        name: what it is about.
        value: for `style` and `partner` a number of a style, from 0; for `strength`, `edge` and
            `blend` a share, 0..1; for switches 0 or 1, or None to turn them round.
        is_step: the value is to be added to what there is.
        picture: for `adopt`, uint8 [H, W, 3], RGB, the picture to paint like; None for the frame.
        fade: for `partner`, the share, 0..1, of a blend in passing; None for one that stays.
    """

    name: CommandName
    value: float | None = None
    is_step: bool = False
    picture: Any = field(default=None, compare=False, repr=False)
    fade: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for the person in front of the show."""

    text: str


@dataclass(frozen=True, slots=True)
class Style:
    """One entry of the list that a user chooses from.

    Attributes:
        name: for file names: `starry`.
        title: for people: `The Starry Night, Vincent van Gogh`.
        network: index of the network that paints it.
        index: which of that network's styles it is; None if it has one only.
        siblings: how many styles that network has.
        adopts: it is the style of a frame or picture, which command `adopt` replaces.
    """

    name: str
    title: str
    network: int = 0
    index: int | None = None
    siblings: int = 1
    adopts: bool = False


@dataclass(frozen=True, slots=True)
class Controls:
    """What is wanted now. Never changed: a command makes another one.

    Attributes:
        style: number of the chosen style.
        partner: number of the style that is blended in, None if none was chosen.
        blend: share of the partner, 0..1.
        is_fading: that blend is a passing one, on the way from a style to the next.
        choices: how often a style was chosen so far, the one that was shown too.
        strength: of the effect, from 0, the camera's picture, to 1.
        keeps_colours: the painting gives its brushwork only, the camera the colours.
        is_steady: flicker is taken out of the pictures.
        is_mirrored: left and right change places, as people know themselves.
        is_split: the camera's picture is shown left of `edge`.
        edge: place of the edge, a share of the width.
        is_paused: the picture stands still.
        is_recording: what is shown is recorded.
        is_full_screen, shows_help, shows_figures: how the window looks.
        snapshots: how many were asked for so far.
        adopted: how many frames or pictures were to be the style so far.
        adopted_picture: the last of them, None for the frame of that moment.
    """

    style: int = 0
    partner: int | None = None
    blend: float = 0.0
    is_fading: bool = False
    choices: int = 0
    strength: float = 1.0
    keeps_colours: bool = False
    is_steady: bool = False
    is_mirrored: bool = False
    is_split: bool = False
    edge: float = 0.5
    is_paused: bool = False
    is_recording: bool = False
    is_full_screen: bool = False
    shows_help: bool = False
    shows_figures: bool = True
    snapshots: int = 0
    adopted: int = 0
    adopted_picture: Any = field(default=None, compare=False, repr=False)

    @property
    def is_plain(self) -> bool:
        """Whether the network's picture, steadied or not, is shown as it is."""
        return self.strength >= 1 and not self.keeps_colours and not self.is_split


@dataclass(frozen=True, slots=True)
class ShowState:
    """What every part of a show is told when something changes.

    Attributes:
        controls: what is wanted.
        styles: what there is to choose from.
        notice: a line to show for a moment; empty if there is none.
        trouble: a line to show until it is over: the camera is gone.
    """

    controls: Controls
    styles: tuple[Style, ...] = ()
    notice: str = ""
    trouble: str = ""


def obey(controls: Controls, command: Command, styles: Sequence[Style]) -> Controls:
    """What is wanted after a command. One that makes no sense here changes nothing."""
    name, value = command.name, command.value
    if value is not None and not -1e6 < value < 1e6:
        return controls  # also what is no number
    if name in _SWITCHES:
        old = bool(getattr(controls, _SWITCHES[name]))
        is_on = not old if value is None or command.is_step else value != 0
        return replace(controls, **{_SWITCHES[name]: is_on})
    if name == "snapshot":
        return replace(controls, snapshots=controls.snapshots + 1)
    if name in ("next", "previous", "style", "adopt"):
        choose = _adopt if name == "adopt" else _choose
        return choose(controls, command, styles)
    if name == "partner":
        return _choose_partner(controls, value, styles, command.fade)
    if name in _SHARES and value is not None:
        if name == "blend" and controls.partner is None:
            controls = _choose_partner(controls, None, styles)
            if controls.partner is None:
                return controls
        old_share = float(getattr(controls, name)) if command.is_step else 0.0
        # Ten steps of 0.1 have to arrive at 1.
        share: dict[str, Any] = {name: round(min(1.0, max(0.0, old_share + value)), 4)}
        if name == "blend":
            share["is_fading"] = False  # who moves it wants it to stay
        return replace(controls, **share)
    return controls


def _choose(controls: Controls, command: Command, styles: Sequence[Style]) -> Controls:
    chosen = controls.style
    if command.name != "style":
        chosen = (chosen + (1 if command.name == "next" else -1)) % len(styles)
    elif command.value is not None:
        chosen = int(command.value)
    if not 0 <= chosen < len(styles):
        return controls
    controls = replace(controls, style=chosen, choices=controls.choices + 1)
    partner = controls.partner
    if controls.is_fading or (partner is not None and not can_blend(styles, chosen, partner)):
        return replace(controls, partner=None, blend=0.0, is_fading=False)
    return controls


def _adopt(controls: Controls, command: Command, styles: Sequence[Style]) -> Controls:
    """Paint like a frame or picture, with the chosen network if it can, else with one that can."""
    network = styles[controls.style].network
    able = [number for number, style in enumerate(styles) if style.adopts]
    able.sort(key=lambda number: styles[number].network != network)
    if not able:
        return controls
    chosen = _choose(controls, Command("style", able[0]), styles)
    return replace(chosen, adopted=controls.adopted + 1, adopted_picture=command.picture)


def _choose_partner(
    controls: Controls, value: float | None, styles: Sequence[Style], fade: float | None = None
) -> Controls:
    """The partner that was asked for, or the next one; a new pair begins half and half."""
    if controls.is_fading:  # whatever comes now, that is not where it begins
        controls = replace(controls, partner=None, blend=0.0, is_fading=False)
    if value is None:
        start = controls.style if controls.partner is None else controls.partner
        order = [(start + step) % len(styles) for step in range(1, len(styles) + 1)]
    else:
        order = [int(value)] if 0 <= value < len(styles) else []
    for number in order:
        if can_blend(styles, controls.style, number):
            if fade is not None:
                share = min(1.0, max(0.0, fade))
                return replace(controls, partner=number, blend=share, is_fading=True)
            return replace(controls, partner=number, blend=controls.blend or 0.5)
    return controls


def can_blend(styles: Sequence[Style], one: int, other: int) -> bool:
    """Styles blend inside one network; two networks would take twice the time."""
    return one != other and styles[one].network == styles[other].network


def weights_of(controls: Controls, styles: Sequence[Style]) -> tuple[float, ...] | None:
    """Weights for the chosen network's `style` input, which sum up to 1; None if it has none."""
    style = styles[controls.style]
    if style.index is None:
        return None
    weights = [0.0] * style.siblings
    partner = None if controls.partner is None else styles[controls.partner].index
    share = 0.0 if partner is None else controls.blend
    weights[style.index] = 1.0 - share
    if partner is not None:
        weights[partner] = share
    return tuple(weights)


def title_of(controls: Controls, styles: Sequence[Style]) -> str:
    """What is being painted, for people."""
    title = styles[controls.style].title
    if controls.partner is None or controls.blend == 0:
        return title
    return f"{title} + {controls.blend:.0%} {styles[controls.partner].title}"


def notice_of(command: Command, controls: Controls, styles: Sequence[Style]) -> str:
    """What to say after a command was obeyed; empty where the picture says it all."""
    if command.fade is not None:
        return ""
    if command.name in ("next", "previous", "style"):
        return title_of(controls, styles)
    if command.name == "adopt":
        return _adopted(command, styles[controls.style])
    if command.name in ("partner", "blend"):
        if controls.partner is None:
            return "nothing to blend with: this network has one style"
        return title_of(controls, styles)
    if command.name == "strength":
        return f"strength {controls.strength:.0%}"
    switches = {
        "colours": ("the camera's colours", "the painting's colours", controls.keeps_colours),
        "steady": ("steadied", "as the network paints it", controls.is_steady),
        "mirror": ("mirrored", "not mirrored", controls.is_mirrored),
    }
    on, off, is_on = switches.get(command.name, ("", "", False))
    return on if is_on else off


def _adopted(command: Command, style: Style) -> str:
    if not style.adopts:
        return "none of the networks paints like any picture"
    return f"in the style of this {'frame' if command.picture is None else 'picture'}"


def find_style(name: str, styles: Sequence[Style]) -> int:
    """The number of the style with this name, or of the one that is so numbered from 1.

    Raises:
        UsageError: there is none; the message lists what there is.
    """
    for number, style in enumerate(styles):
        if name.lower() in (style.name.lower(), style.title.lower()):
            return number
    if name.isdecimal() and 1 <= int(name) <= len(styles):
        return int(name) - 1
    raise UsageError(f"no style '{name}'; there are: {', '.join(style.name for style in styles)}")
