"""What the API and the operator share: the domain (pure), the API server (`kube`) and PostgreSQL (`store`)."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cronwright")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.0.0"
