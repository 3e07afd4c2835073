"""Python imports this at its start when its folder is in PYTHONPATH: tracing for the sync process of a test."""

import os
import sys

if "teleclaude.sync" in sys.orig_argv and "TELECLAUDE_TEST_JOURNAL" in os.environ:
    from tests.chaos import traced

    traced.install(os.environ["TELECLAUDE_TEST_JOURNAL"], os.environ.get("TELECLAUDE_TEST_BUG", ""))
