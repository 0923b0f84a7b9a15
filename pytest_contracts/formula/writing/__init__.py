"""Syntax tree to text: Unicode that parses back, and LaTeX."""
