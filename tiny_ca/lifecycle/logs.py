"""The fields of log records, as JSON can write them; docs/observability.md lists them."""

from datetime import datetime

__all__ = ["fields"]

_SERIAL_NUMBERS = frozenset({"serial_number", "predecessor"})

Value = str | int | bool | datetime


def fields(event: str, **values: Value) -> dict[str, str | int | bool]:
    """Give *values* as a log record's `extra`: serial numbers in hex, moments in ISO 8601."""
    return {"event": event, **{name: _plain(name, value) for name, value in values.items()}}


def _plain(name: str, value: Value) -> str | int | bool:
    if name in _SERIAL_NUMBERS:
        return f"{value:x}"
    return value.isoformat() if isinstance(value, datetime) else value
