"""What `edge-style` and `python -m edge_style` start.

Until the command line is loaded, which takes a tenth of a second or more, Ctrl-C would end in a
traceback from the midst of some import, or be lost in a destructor. Nothing is open yet that would
have to be closed, so it ends the process at once. Before this file nothing of ours can hear it.
"""

import os
import signal

_INTERRUPTED_STATUS = 130  # as `cli.INTERRUPTED_STATUS`, which is what is being loaded


def main() -> None:
    """Load the command line and run it; it exits."""
    # Who started this in the background may want it to ignore Ctrl-C.
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED_STATUS))
    from edge_style.cli import main as run  # noqa: PLC0415 - not before it is known how to end
    from edge_style.shutdown import leave  # noqa: PLC0415 - as above

    try:
        if is_heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:  # on the way from here to where the command line waits for it
        leave(_INTERRUPTED_STATUS)


if __name__ == "__main__":
    main()
