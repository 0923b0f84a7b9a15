"""Contracts of another tool-chain, ``pv`` of provable-contracts, loaded as they are.

``dialect`` tells them apart, ``adapter`` turns their nodes into the typed model, ``binding`` gives
their names a meaning. Everything else of the plugin sees an ordinary contract: what can run has a
strict formula, what cannot carries the reason in ``Claim.prose``. The modules are imported when a
file needs them: strict contracts load without the formula language.
"""
