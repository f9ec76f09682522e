"""Quantities of the API, such as `300m` and `1Gi`, as numbers. Pure."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_QUANTITY = re.compile(r"([+-]?[0-9.]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?\Z")
_FACTORS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


def quantity(text: object) -> Decimal:
    """The number that a quantity stands for; 0 for what is none.

    Args:
        text: such as `300m`, `1.5`, `2Gi` or `1e3`.
    """
    found = _QUANTITY.match(str(text))
    if found is None:
        return Decimal(0)
    number, unit = found[1], found[2] or ""
    try:
        if unit and unit not in _FACTORS:
            return Decimal(number + unit)
        return Decimal(number) * _FACTORS[unit]
    except InvalidOperation:
        return Decimal(0)
