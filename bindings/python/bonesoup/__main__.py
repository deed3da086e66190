"""`python -m bonesoup` is the command `bonesoup`."""

import sys

from bonesoup.cli import main

sys.exit(main())
