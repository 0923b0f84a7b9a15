"""Looking inside a forward pass: stages, capture, statistics, stage files, comparison."""
