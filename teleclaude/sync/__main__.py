"""`python -m teleclaude.sync`: the sync process."""

from teleclaude.core.lean import import_msgspec

import_msgspec()

from teleclaude.sync.process import main  # noqa: E402  (after msgspec)

main()
