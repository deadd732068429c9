"""Which key means what, the same in the window, the terminal and on the web page."""

from dataclasses import dataclass

from edge_style.controls import Command

_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the help.

    Attributes:
        keys: the characters that do it.
        command: what they mean.
        help: what the help says.
        label: how the help writes the keys, where that is not the characters themselves.
    """

    keys: str
    command: Command
    help: str
    label: str = ""


KEYS = (
    Key("n", Command("next"), "next style"),
    Key("p", Command("previous"), "previous style"),
    Key("b", Command("partner"), "blend with another style of the network"),
    Key(".", Command("blend", _STEP, is_step=True), "more of it"),
    Key(",", Command("blend", -_STEP, is_step=True), "less of it"),
    Key("a", Command("adopt"), "paint in the style of this frame (any)"),
    Key("+=", Command("strength", _STEP, is_step=True), "stronger", "+"),
    Key("-_", Command("strength", -_STEP, is_step=True), "weaker", "-"),
    Key("c", Command("colours"), "the camera's colours"),
    Key("t", Command("steady"), "take flicker out, or leave it"),
    Key("m", Command("mirror"), "mirror"),
    Key("v", Command("split"), "before and after; drag the edge"),
    Key("]", Command("edge", _STEP / 2, is_step=True), "edge to the right"),
    Key("[", Command("edge", -_STEP / 2, is_step=True), "edge to the left"),
    Key(" ", Command("pause"), "pause", "space"),
    Key("s", Command("snapshot"), "save a snapshot"),
    Key("r", Command("record"), "record, and stop"),
    Key("f", Command("fullscreen"), "full screen"),
    Key("i", Command("figures"), "figures on and off"),
    Key("h?", Command("help"), "this help", "h"),
    Key("q\x1b", Command("quit"), "quit", "q Esc"),
)
_BY_CHARACTER = {character: key.command for key in KEYS for character in key.keys}
# Keys and what they do, for people.
HELP_LINES = (
    ("1 - 9", "choose a style"),
    *((key.label or key.keys, key.help) for key in KEYS),
)


def command_for(character: str) -> Command | None:
    """What a key means; None if nothing. An empty character is none."""
    if character in "123456789" and character:
        return Command("style", int(character) - 1)
    return _BY_CHARACTER.get(character) or _BY_CHARACTER.get(character.lower())
