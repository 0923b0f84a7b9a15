"""The CPU backend: operations one by one, or a whole pass in one call of compiled code."""
