"""Run style-transfer networks on a camera, a picture or a clip, with onnxruntime alone.

    from edge_style import Stylizer, read_image, write_image
    stylizer = Stylizer.load("starry")
    write_image("stylized.png", stylizer(read_image("photo.jpg")))

The names below load on first use, so that `import edge_style` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_style.errors import EdgeStyleError as EdgeStyleError
    from edge_style.images import read_image as read_image
    from edge_style.images import write_image as write_image
    from edge_style.stylizer import Stylizer as Stylizer

__version__ = "0.1.0"

__all__ = ["EdgeStyleError", "Stylizer", "__version__", "read_image", "write_image"]

_HOMES = {
    "EdgeStyleError": "edge_style.errors",
    "Stylizer": "edge_style.stylizer",
    "read_image": "edge_style.images",
    "write_image": "edge_style.images",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edge_style' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
