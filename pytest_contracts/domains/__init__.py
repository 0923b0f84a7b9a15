"""What variables stand for: domains of a contract as Hypothesis strategies."""
