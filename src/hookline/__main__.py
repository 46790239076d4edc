"""`python -m hookline`: the same program as `hookline`."""

from __future__ import annotations

import sys

from hookline.cli import main

if __name__ == "__main__":
    sys.exit(main())
