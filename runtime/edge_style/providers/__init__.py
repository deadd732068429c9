"""Execution providers: the names users type, what onnxruntime calls them, and which are here.

table      one entry per provider, and what it is told for a stream of equal frames
options    options that depend on the model, its size and the cache folder
installed  the onnxruntime that is here: its packages, why a library of it does not load
plugins    providers that come as packages of their own beside a plain onnxruntime
cores      how many processors this process may use
discovery  which of the table can be had here
"""

from edge_style.providers.cores import usable_cores
from edge_style.providers.discovery import available, candidates
from edge_style.providers.installed import (
    find_libraries,
    import_onnxruntime,
    load_failure,
    package_versions,
    runtime_version,
)
from edge_style.providers.options import Workload, cache_folder
from edge_style.providers.plugins import is_plugged_in, plugin_devices, plugin_failure
from edge_style.providers.table import (
    AUTO,
    CPU_EP,
    PROVIDER_NAMES,
    Provider,
    all_providers,
    provider_named,
)

__all__ = [
    "AUTO",
    "CPU_EP",
    "PROVIDER_NAMES",
    "Provider",
    "Workload",
    "all_providers",
    "available",
    "cache_folder",
    "candidates",
    "find_libraries",
    "import_onnxruntime",
    "is_plugged_in",
    "load_failure",
    "package_versions",
    "plugin_devices",
    "plugin_failure",
    "provider_named",
    "runtime_version",
    "usable_cores",
]
