"""What ran, with what verdict: records, the levels they earn, evidence, and their merging."""
