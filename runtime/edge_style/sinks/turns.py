"""Styles by turns: the next one every so many seconds, for shows that nobody attends to."""

from edge_style.controls import Command, Controls, Notice, ShowState, Style, can_blend
from edge_style.sinks.base import Sink, StyledFrame

FADE_S = 1.5  # long enough to be seen as one, short enough not to be a style of its own
_FADE_SHARE = 0.5  # of a turn at most


class TurnsSink(Sink):
    """Gives the commands of a person who chooses the next style again and again.

    Styles of one network fade into each other, others change at once; two networks would take twice
    the time. What a person does goes before: who chooses a style sees it for a whole turn, who
    blends two blends the next ones as well, and a pause stops the clock. The style of a frame
    (`Style.adopts`) is left out, since it is whatever the camera saw at the start.

    Args:
        every_s: length of a turn in seconds of the stream, the fade at its end included.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._fade_s = min(FADE_S, _FADE_SHARE * every_s)
        self._turn_s = 0.0
        self._last_s: float | None = None
        self._controls = Controls()
        self._styles: tuple[Style, ...] = ()
        self._fading_to: int | None = None
        self._said: list[Command | Notice] = []

    def apply(self, state: ShowState) -> None:
        before, self._controls, self._styles = self._controls, state.controls, state.styles
        is_other_pair = self._fading_to is not None and state.controls.partner != self._fading_to
        if state.controls.style != before.style or is_other_pair:
            if self._fading_to is not None and not is_other_pair:
                self._said.append(Command("blend", 0.0, is_quiet=True))  # what the fade left
            self._turn_s, self._fading_to = 0.0, None

    def write(self, frame: StyledFrame) -> None:
        if self._controls.is_paused:
            self._last_s = None
            return
        if self._last_s is not None:
            # A stream that begins anew may go back in time.
            self._turn_s += max(0.0, frame.time_s - self._last_s)
        self._last_s = frame.time_s

    def poll(self) -> list[Command | Notice]:
        said, self._said = self._said, []
        following = self._following()
        if said or following is None or self._controls.is_paused:
            return said
        if self._turn_s >= self._every_s:
            self._turn_s, self._fading_to = 0.0, None
            return [Command("style", following)]
        share = round((self._turn_s - (self._every_s - self._fade_s)) / self._fade_s, 4)
        is_there = self._fading_to is not None and share == self._controls.blend
        if share <= 0 or is_there or not self._fades(following):
            return []
        self._fading_to = following
        return [Command("partner", following, share=share, is_quiet=True)]

    def _fades(self, following: int) -> bool:
        controls = self._controls
        is_blended = controls.partner is not None and controls.blend > 0 and self._fading_to is None
        return not is_blended and can_blend(self._styles, controls.style, following)

    def _following(self) -> int | None:
        """The number of the next style, None if there is no other."""
        count = len(self._styles)
        for step in range(1, count):
            number = (self._controls.style + step) % count
            if not self._styles[number].adopts:
                return number
        return None
