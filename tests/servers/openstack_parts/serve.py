"""Serves one WSGI application of OpenStack, in its own environment: ``python serve.py MODULE:NAME PORT``."""

import importlib
import sys
from typing import Any


def serve(application: Any, port: int) -> None:
    """Until the process ends."""
    import waitress  # type: ignore[import-untyped, import-not-found, unused-ignore]

    waitress.serve(
        application,
        host="127.0.0.1",
        port=port,
        threads=8,
        # Clients keep connections; at the usual limit of 100 nobody else would be heard until one of them ends.
        connection_limit=2000,
        asyncore_use_poll=True,
        channel_timeout=120,
        ident=None,
        clear_untrusted_proxy_headers=False,
    )


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    port = int(sys.argv[2])
    # oslo.config reads the command line too.
    sys.argv = [module]
    if module.startswith("nova."):
        from nova import monkey_patch  # type: ignore[import-not-found]

        monkey_patch.patch(backend="threading")
    serve(getattr(importlib.import_module(module), name), port)


if __name__ == "__main__":
    main()
