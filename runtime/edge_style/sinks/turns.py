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

    def apply(self, state: ShowState) -> None:
        before, self._controls, self._styles = self._controls, state.controls, state.styles
        # A fade that is none any more was taken over by somebody, who blends.
        was_stopped = before.is_fading and not state.controls.is_fading
        was_chosen = (state.controls.choices, state.controls.adopted) != (
            before.choices,
            before.adopted,
        )
        if was_stopped or was_chosen:
            self._turn_s = 0.0

    def write(self, frame: StyledFrame) -> None:
        if self._controls.is_paused:
            self._last_s = None
            return
        if self._last_s is not None:
            # A stream that begins anew may go back in time.
            self._turn_s += max(0.0, frame.time_s - self._last_s)
        self._last_s = frame.time_s

    def poll(self) -> list[Command | Notice]:
        controls, following = self._controls, self._following()
        if following is None or controls.is_paused:
            return []
        if self._turn_s >= self._every_s:
            return [Command("style", following)]
        share = round((self._turn_s - (self._every_s - self._fade_s)) / self._fade_s, 4)
        is_there = controls.is_fading and share == controls.blend
        can_fade = not self._is_blended and can_blend(self._styles, controls.style, following)
        if share <= 0 or is_there or not can_fade:
            return []
        return [Command("partner", following, fade=share)]

    @property
    def _is_blended(self) -> bool:
        """Whether somebody wants two styles together."""
        controls = self._controls
        return controls.partner is not None and controls.blend > 0 and not controls.is_fading

    def _following(self) -> int | None:
        """The number of the next style, None if there is no other.

        One that is blended into all of them is passed over: it would be alone, and the blend gone.
        """
        count, controls = len(self._styles), self._controls
        others = [(controls.style + step) % count for step in range(1, count)]
        others = [number for number in others if not self._styles[number].adopts]
        alone = controls.partner if self._is_blended else None
        return next((number for number in others if number != alone), next(iter(others), None))
