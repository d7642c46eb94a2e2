"""``python -m bridgex_core``: the command line."""

import io
import logging
import os
import sys

from bridgex_core.cli import main

if __name__ == "__main__":
    logging.basicConfig(format="bridgex: %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # JSON is UTF-8 wherever it is read; a file name that is not text comes out escaped.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    if not sys.stderr.isatty():
        # Progress bars of libraries, which look at these when they are imported.
        os.environ.update(TQDM_DISABLE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    sys.exit(main())
