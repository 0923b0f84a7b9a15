"""One room per kernel.

``__init__`` states it: signature, documentation, and the checks of its arguments, once for all
devices (see ``signature``). The implementations are files beside it: ``reference`` in plain Python,
``cpu``, and, where there is one, ``cuda`` with ``kernel.cu``. `cpu` and `cuda` are no kernels: they
hold what the kernels of one device share.
"""

from inference.kernels.cpu import checked as checked  # says how everything else is compiled
