"""`python -m teleclaude.web`: the web process."""

from teleclaude.core.lean import import_hashlib, import_msgspec
from teleclaude.web.lean_flask import import_flask

import_msgspec()
import_hashlib()
import_flask()

from teleclaude.web.process import main  # noqa: E402  (after these)

main()
