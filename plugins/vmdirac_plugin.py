"""Registers the plugin where this folder is only dropped in. Where the package is installed, its entry point has done
so, and a plugin registered twice would hide others."""

from importlib.metadata import PackageNotFoundError, distribution

try:
    distribution("airflow-provider-vmdirac")
except PackageNotFoundError:
    from vmdirac.plugin import VmdiracPlugin  # noqa: F401
