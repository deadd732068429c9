"""Providers that come as packages of their own and are plugged into a plain onnxruntime."""

import importlib
from typing import Any

from edge_style.providers.installed import import_onnxruntime
from edge_style.providers.table import Provider

# onnxruntime keeps a plugin for the life of the process and refuses to take it twice.
_registered: set[str] = set()
_failures: dict[str, str] = {}


def plugin_devices(provider: Provider) -> list[Any]:
    """The devices that a provider's plugin offers here; empty without plugin or device."""
    if not provider.plugin:
        return []
    onnxruntime = import_onnxruntime()
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        return []  # before onnxruntime 1.23 there were no plugins
    if provider.name not in _registered and not _register(onnxruntime, provider):
        return []
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == provider.ep_name]


def is_plugged_in(provider: Provider) -> bool:
    """Whether the provider is here as a plugin, with or without a device that it takes."""
    return provider.name in _registered


def plugin_failure(provider: Provider) -> str:
    """Why an installed plugin gives no device here, one line; empty without a plugin."""
    if not provider.plugin or plugin_devices(provider):
        return ""
    if provider.name in _registered:
        return "its plugin found no device here that it takes"
    return _failures.get(provider.name, "")


def _register(onnxruntime: Any, provider: Provider) -> bool:
    try:
        plugin = importlib.import_module(provider.plugin)
    except ImportError:
        return False
    try:
        onnxruntime.register_execution_provider_library(
            provider.name, str(plugin.get_library_path())
        )
    except Exception as error:  # onnxruntime's errors derive from nothing narrower
        _failures[provider.name] = "its plugin does not load: " + " ".join(str(error).split())
        return False
    _registered.add(provider.name)
    return True
