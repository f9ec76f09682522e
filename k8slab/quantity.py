"""Kubernetes quantities, such as `500m`, `64Mi` and `1e3`, as exact numbers.

Grammar: apimachinery's pkg/api/resource/quantity.go.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

_SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$")


def parse(text: str | int) -> Decimal:
    """The value of a quantity in its base unit (cores, bytes).

    Raises:
        ValueError: it is no quantity.
    """
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m or 64Mi")
    number, exponent, suffix = match.groups()
    value = Decimal(number)
    return value.scaleb(int(exponent)) if exponent else value * _SUFFIXES[suffix or ""]


def value_of(text: object) -> Decimal:
    """The value of a quantity in its base unit; 0 for what is none, as in a picture of somebody's objects."""
    try:
        return parse(str(text))
    except ValueError:
        return Decimal(0)


def whole(value: Decimal) -> int:
    """A value rounded up to a whole number, as `Quantity.Value()` does."""
    return int(value.to_integral_value(ROUND_CEILING))


def bytes_of(text: str | int) -> int:
    """A quantity of memory or storage in bytes, rounded up."""
    return whole(parse(text))
