"""``python -m bridgex_core``: the command line."""

import io
import logging
import sys

from bridgex_core.cli import main

if __name__ == "__main__":
    logging.basicConfig(format="bridgex: %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # JSON is UTF-8 wherever it is read; a file name that is not text comes out escaped.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(main())
