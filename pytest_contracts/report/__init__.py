"""Views of the ledger: failures, the terminal summary, the JSON file."""
