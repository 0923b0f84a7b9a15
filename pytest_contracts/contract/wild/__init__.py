"""Contracts of another tool-chain, ``pv`` of provable-contracts, loaded as they are.

``dialect`` tells them apart, ``adapter`` turns their nodes into the typed model. A
``binding_file`` says what their names mean, which is their ``vocabulary``; ``bound`` reads their
claims with it. Everything else of the plugin sees an ordinary contract: what can run has a formula,
what cannot carries the reason in ``Claim.prose``. The modules are imported when a file needs them:
strict contracts load without the formula language.
"""

BINDING_FILE = "binding.yaml"
"""What a binding file beside the contracts is called; it is no contract."""
