"""Trees back to text: Unicode that parses again, and LaTeX."""
