"""``python -m vmdirac.cli``."""

import sys

from vmdirac.cli import main

sys.exit(main())
