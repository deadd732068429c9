"""The picture in a browser, with controls: for devices without a screen.

    sink.write ──newest frame──> encoder thread ──newest JPEG──> one thread per viewer

The server is the standard library's `http.server`: a handful of routes, streams that are threads
waiting for the newest picture, and no more packages on a device than there were. Everything that
keeps strangers out is in `guard.py`.
"""

from edge_style.sinks.web.sink import WebSink

__all__ = ["WebSink"]
