"""A whole forward pass in one call of compiled code: lowered to a table, then executed."""
