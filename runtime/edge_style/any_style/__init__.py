"""Any picture as the style: an encoder turns pictures into the codes that a transformer takes."""

from edge_style.any_style.encoder import StyleEncoder
from edge_style.any_style.pictures import FRAME, StyleMix, StylePicture, parse_styles
from edge_style.any_style.stylizer import AnyStylizer

__all__ = ["FRAME", "AnyStylizer", "StyleEncoder", "StyleMix", "StylePicture", "parse_styles"]
