"""`python -m teleclaude.sync`: the sync process."""

from teleclaude.core.lean import import_hashlib, import_managers, import_msgspec

import_msgspec()
import_hashlib()
import_managers()

from teleclaude.sync.process import main  # noqa: E402  (after these)

main()
