"""`python -m teleclaude.sync`: the sync process."""

from teleclaude.sync.process import main

main()
