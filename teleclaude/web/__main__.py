"""`python -m teleclaude.web`."""

from teleclaude.web.process import main

main()
