"""Which providers can be had here."""

from edge_style.errors import ProviderError
from edge_style.providers import table
from edge_style.providers.installed import import_onnxruntime
from edge_style.providers.plugins import is_plugged_in, plugin_devices, plugin_failure
from edge_style.providers.table import AUTO, Provider, provider_named


def available() -> tuple[Provider, ...]:
    """The providers that the installed onnxruntime was built with, or has a plugin and device for.

    That one of them also works here is known only after a first run.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    built_in = set(import_onnxruntime().get_available_providers())
    return tuple(
        provider
        for provider in table.PROVIDERS
        # A registered plugin is listed as if it were built in, but takes part by its devices only.
        if plugin_devices(provider)
        or (provider.ep_name in built_in and not is_plugged_in(provider))
    )


def candidates(name: str) -> tuple[Provider, ...]:
    """The providers to try, in order: several for `auto`, else the one that was asked for.

    Raises:
        UsageError: no provider has that name.
        ProviderError: the installed onnxruntime does not have it, or has no device for it.
        MissingExtraError: onnxruntime is not installed.
    """
    if name.lower() == AUTO:
        return tuple(provider for provider in available() if provider.automatic)
    wanted = provider_named(name)
    here = available()
    if wanted not in here:
        reason = plugin_failure(wanted) or "the installed onnxruntime was built without it"
        names = ", ".join(provider.name for provider in here)
        raise ProviderError(
            f"provider '{wanted.name}' is not available: {reason} ({wanted.install}); "
            f"available: {names}"
        )
    return (wanted,)
