"""What `cam` and `video` do: put source, networks, sinks and pipeline together.

show = Show(ShowOptions(models=["starry"], source="0", outputs=["window"]), note=print, ...)
show.run()
show.report()
"""

from edge_style.live.options import ShowOptions
from edge_style.live.show import Show

__all__ = ["Show", "ShowOptions"]
