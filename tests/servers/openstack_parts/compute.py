"""nova-compute with our hypervisor, which it looks for in its own package only."""

import sys
from pathlib import Path

import nova.virt  # type: ignore[import-not-found]
from nova.cmd import compute  # type: ignore[import-not-found]

nova.virt.__path__.append(str(Path(__file__).parent))

if __name__ == "__main__":
    sys.exit(compute.main())
