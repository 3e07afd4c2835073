"""Python imports this at its start when its folder is in PYTHONPATH: what a test changes in a daemon."""

import os
import sys

if "TELECLAUDE_TEST_JOURNAL" in os.environ and any(word.startswith("teleclaude.") for word in sys.orig_argv):
    from tests.chaos import altered

    if "teleclaude.cache" in sys.orig_argv or "teleclaude.sync" in sys.orig_argv:
        altered.install()
    if "teleclaude.sync" in sys.orig_argv:
        from tests.chaos import traced

        traced.install(os.environ["TELECLAUDE_TEST_JOURNAL"], os.environ.get("TELECLAUDE_TEST_BUG", ""))
