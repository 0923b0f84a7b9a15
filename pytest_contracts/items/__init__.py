"""pytest nodes: a contract file, and one item per claim, implementation and parameter set."""
