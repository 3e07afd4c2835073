"""`python -m teleclaude.cache`: the cache process."""

from teleclaude.core.lean import import_hashlib, import_managers, import_msgspec

import_msgspec()
import_hashlib()
import_managers()

from teleclaude.cache.process import main  # noqa: E402  (after these)

main()
