"""The page for browsers: `edge-style web`.

The page itself is TypeScript, in `runtime/web/`; `make web` builds it into the folder `page` here.
This package adds the models to it, and serves the whole on this machine or writes it to a folder
for any static host.
"""

from edge_style.web.server import WebServer
from edge_style.web.site import Site, assemble, write_site
from edge_style.web.styles import choose_models

__all__ = ["Site", "WebServer", "assemble", "choose_models", "write_site"]
