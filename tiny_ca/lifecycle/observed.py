"""Operations that an observer sees."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from tiny_ca.application.services import Services

__all__ = ["observed"]

P = ParamSpec("P")
T = TypeVar("T")


class _HasServices(Protocol):
    _services: Services


S = TypeVar("S", bound=_HasServices)


def observed(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Let the observer, if there is one, see each call of *method* begin and end."""
    name = method.__name__

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        observing = self._services.observing
        if observing is None:
            return method(self, *args, **kwargs)
        with observing.operation(name):
            return method(self, *args, **kwargs)

    return call
