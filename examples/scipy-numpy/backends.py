"""Implementations that need a line of code between the library and the contract.

What fits as it is, such as ``scipy.special:softmax``, the contracts name themselves.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pytest_contracts.binding import contract
from pytest_contracts.errors import Unavailable

Array = NDArray[Any]


def torch() -> ModuleType:
    """Return PyTorch, or say how to get it."""
    try:
        import torch as installed
    except ImportError:
        raise Unavailable("PyTorch is not installed", "run `pip install torch`") from None
    return installed


@contract("softmax-v1", equation="softmax", implementation="numpy")
def softmax_numpy(x: Array) -> Array:
    """The textbook's three lines; x: [n]."""
    terms = np.exp(x - np.max(x))
    return terms / np.sum(terms)


@contract("softmax-v1", equation="softmax", implementation="torch")
def softmax_torch(x: Array) -> Array:
    """PyTorch's; x: [n]."""
    library = torch()
    return library.softmax(library.from_numpy(x), dim=0).numpy()  # type: ignore[no-any-return]


@contract("logsumexp-v1", equation="logsumexp", implementation="numpy")
def logsumexp_numpy(x: Array) -> Any:
    """NumPy's pairwise function, folded over the elements; x: [n]."""
    return np.logaddexp.reduce(x)


@contract("logsumexp-v1", equation="logsumexp", implementation="torch")
def logsumexp_torch(x: Array) -> Any:
    """PyTorch's; x: [n]."""
    library = torch()
    return library.logsumexp(library.from_numpy(x), dim=0).numpy()


def fft(x: Array) -> Array:
    """Return NumPy's spectrum as real and imaginary parts; x: [n], returns [n, 2]."""
    spectrum = np.fft.fft(x)
    return np.stack([spectrum.real, spectrum.imag], axis=-1)


def ifft(pairs: Array) -> Array:
    """Return the signal of a spectrum; pairs: [n, 2], returns [n]."""
    return np.fft.ifft(pairs[:, 0] + 1j * pairs[:, 1]).real


def dct(x: Array) -> Array:
    """Return SciPy's orthonormal cosine transform; x: [n]."""
    return scipy.fft.dct(x, norm="ortho")  # type: ignore[no-any-return]


def idct(x: Array) -> Array:
    """Return the inverse of ``dct``; x: [n]."""
    return scipy.fft.idct(x, norm="ortho")  # type: ignore[no-any-return]
