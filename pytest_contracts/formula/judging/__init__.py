"""The truth of a claim for one set of values, and the comparison to report of it."""
