"""Views of the ledger: the terminal, JSON, HTML, SARIF, Markdown, the badge, and a failing item."""
