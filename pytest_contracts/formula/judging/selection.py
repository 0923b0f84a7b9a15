"""Which elements a guard ``where`` selects."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_contracts.errors import FormulaError


class Selection:
    """The mask of the guards around a comparison; None selects all elements."""

    mask: Any = None

    def over(self, shape: tuple[int, ...]) -> Any:
        """Return the mask in the shape of what it selects from.

        Raises:
            FormulaError: it does not fit.
        """
        if self.mask is None:
            return np.broadcast_to(True, shape)
        try:
            return np.broadcast_to(self.mask, shape)
        except ValueError:
            if not shape:
                raise FormulaError("'where' selects elements of a single number") from None
            raise FormulaError(
                f"the mask of shape {list(np.shape(self.mask))} does not fit {list(shape)}"
            ) from None

    def select(self, holding: Any) -> tuple[Any, int]:
        """Return truth values with the unselected set true, and how many are selected."""
        if self.mask is None:
            return holding, holding.size
        mask = self.over(holding.shape)
        return holding | ~mask, int(np.count_nonzero(mask))
