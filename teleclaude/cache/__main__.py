"""`python -m teleclaude.cache`: the cache process."""

from teleclaude.core.lean import import_msgspec

import_msgspec()

from teleclaude.cache.process import main  # noqa: E402  (after msgspec)

main()
