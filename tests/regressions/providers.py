"""Providers that go wrong as real ones do, for the tests of what upstream did then. Our code is left as it is."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from onboarding.provisioning.backends.local import LocalDns, LocalMail, LocalRegistrar, LocalStorage
from onboarding.provisioning.backends.protocols import Delegation
from onboarding.provisioning.errors import Unavailable

LOCAL: dict[str, type] = {"registrar": LocalRegistrar, "dns": LocalDns, "mail": LocalMail, "storage": LocalStorage}


class Faults:
    """What happens next, and what happened."""

    raises: ClassVar[dict[str, BaseException]] = {}  # by "role.method": raised instead of calling
    late: ClassVar[set[str]] = set()  # calls that did their work and whose answer was then lost
    logins: ClassVar[int] = 0
    poisoned: ClassVar[bool] = False  # the next call finds its session closed by the other side
    called: ClassVar[set[str]] = set()

    @classmethod
    def clear(cls) -> None:
        """Start anew."""
        cls.raises.clear()
        cls.late.clear()
        cls.called.clear()
        cls.logins, cls.poisoned = 0, False


def methods(base: type) -> list[str]:
    """Return what a backend can be asked."""
    return sorted(name for name, value in vars(base).items() if callable(value) and not name.startswith("_"))


def faulty(role: str) -> type:
    """Return the local backend whose calls raise what the test said."""

    def wrapped(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            Faults.called.add(f"{role}.{name}")
            if error := Faults.raises.get(f"{role}.{name}"):
                raise error
            return method(*args, **kwargs)

        return call

    base = LOCAL[role]
    deeds = {name: wrapped(name, vars(base)[name]) for name in methods(base)}
    return type(f"Faulty{base.__name__}", (base,), deeds)


def forgetful(role: str) -> type:
    """Return the local backend whose every change succeeds and, the first time, answers too late to be heard."""

    def wrapped(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            key = repr((role, name, args[1:], sorted(kwargs.items())))
            if key not in Faults.late:
                Faults.late.add(key)
                raise Unavailable("timeout", "Le fournisseur n’a pas répondu à temps.")
            return answer

        return call

    base = LOCAL[role]
    deeds = {name: wrapped(name, vars(base)[name]) for name in methods(base) if name.startswith("ensure_")}
    return type(f"Forgetful{base.__name__}", (base,), deeds)


class Session:
    """A connection to a registry, logged in once; it may be closed by the other side, and says so to every call."""

    def __init__(self) -> None:
        Faults.logins += 1
        self.logged_in = True

    def use(self) -> None:
        """Answer as the registry does."""
        if Faults.poisoned:
            Faults.poisoned, self.logged_in = False, False
        if not self.logged_in:
            raise Unavailable("not_logged_in", "Le registre nous a déconnectés.")


class PooledRegistrar(LocalRegistrar):
    """A registrar that keeps its connection between calls, as a pool does."""

    def __init__(self) -> None:
        self.session = Session()

    def ensure_registered(self, domain: str, *, owner: str) -> None:
        self.session.use()
        super().ensure_registered(domain, owner=owner)

    def ensure_delegated(self, domain: str, delegation: Delegation) -> None:
        self.session.use()
        super().ensure_delegated(domain, delegation)


FaultyRegistrar, FaultyDns, FaultyMail, FaultyStorage = map(faulty, LOCAL)
ForgetfulRegistrar, ForgetfulDns, ForgetfulMail, ForgetfulStorage = map(forgetful, LOCAL)
