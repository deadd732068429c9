"""What a window needs to know of the X server, through libX11 itself."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager


def display_answers() -> bool:
    """Whether the X display of this process can be opened; True where that cannot be found out."""
    with _display() as (x11, display):
        return x11 is None or display is not None


def bare_screen_px() -> tuple[int, int] | None:
    """(width, height) of a screen without a window manager, where nobody else enlarges a window.

    None where there is a manager, as on any desktop, or where that cannot be found out.
    """
    with _display() as (x11, display):
        if x11 is None or display is None or _has_manager(x11, display):
            return None
        return x11.XDisplayWidth(display, 0), x11.XDisplayHeight(display, 0)


@contextmanager
def _display() -> Iterator[tuple[ctypes.CDLL | None, ctypes.c_void_p | None]]:
    """libX11 and the open display, each None where there is none."""
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        yield None, None
        return
    x11.XOpenDisplay.restype = ctypes.c_void_p
    address = x11.XOpenDisplay(None)
    if address is None:
        yield x11, None
        return
    display = ctypes.c_void_p(address)
    try:
        yield x11, display
    finally:
        x11.XCloseDisplay(display)


def _has_manager(x11: ctypes.CDLL, display: ctypes.c_void_p) -> bool:
    """Managers leave a property on the root window, by the Extended Window Manager Hints."""
    x11.XInternAtom.restype = x11.XDefaultRootWindow.restype = ctypes.c_ulong
    atom = ctypes.c_ulong(x11.XInternAtom(display, b"_NET_SUPPORTING_WM_CHECK", 0))
    root = ctypes.c_ulong(x11.XDefaultRootWindow(display))
    kind, form, data = ctypes.c_ulong(), ctypes.c_int(), ctypes.c_void_p()
    count, left = ctypes.c_ulong(), ctypes.c_ulong()
    results = [ctypes.byref(value) for value in (kind, form, count, left, data)]
    any_kind = ctypes.c_ulong(0)
    x11.XGetWindowProperty(
        display, root, atom, ctypes.c_long(0), ctypes.c_long(1), 0, any_kind, *results
    )
    if data:
        x11.XFree(data)
    return count.value > 0
