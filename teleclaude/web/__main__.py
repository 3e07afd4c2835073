"""`python -m teleclaude.web`."""

from teleclaude.core.lean import import_msgspec

import_msgspec()

from teleclaude.web.process import main  # noqa: E402  (after msgspec)

main()
