"""`python -m teleclaude.cache`: the cache process."""

from teleclaude.cache.process import main

main()
