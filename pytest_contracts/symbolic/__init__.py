"""Bounded proofs: harnesses judged over all values they draw, with a three-way verdict.

How to write a harness (a ``run:`` function of a ``kani_harnesses`` entry):

1. It takes one argument ``k`` and calls the engine's own code; never copy the code under test.
2. Draw inputs: ``n = k.int("n", 0, k.bound)``, ``k.bool("b")``, ``k.bytes("q", 12)``; every draw
   has its own name (``f"x{i}"`` in a loop). Prefer bounded draws to ``k.assume``.
3. ``k.assume(d != 0)`` leaves values out of the claim; where none is left the verdict is VACUOUS.
4. ``k.cover("high half", j >= 4)`` demands that some run get there; plain ``assert`` is the claim.
5. Up to 10⁶ combinations are enumerated: anything deterministic is allowed, floats and NumPy too.
6. Above, paths are explored symbolically: pure Python on ints, bools, bytes. Time is the limit, and
   each data-dependent ``if`` may double the paths; write ``+`` for disjoint bit fields, not ``|``.
   Before, the harness runs on values at the edges and random ones. Integers beyond 2^53 that become
   floats, rounded floats, and NumPy are never confirmed there.
7. A counterexample counts only when the harness fails again on its values (FALSIFIED); whatever the
   engine cannot decide in time is INCONCLUSIVE and never a pass. No files, no network, no threads.
"""

from __future__ import annotations

from pytest_contracts.symbolic.draws import Draws
from pytest_contracts.symbolic.result import SymbolicResult
from pytest_contracts.symbolic.verification import verify

__all__ = ["Draws", "SymbolicResult", "verify"]
