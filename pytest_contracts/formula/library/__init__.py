"""The fixed function library of formulas."""
