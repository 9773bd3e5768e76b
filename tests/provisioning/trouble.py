"""Backends that misbehave on purpose. They live here: production code has no way to inject a fault."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ClassVar

from onboarding.provisioning.backends.local import LocalDns, LocalMail, LocalRegistrar, LocalStorage
from onboarding.provisioning.backends.protocols import Mailbox
from onboarding.provisioning.errors import NotYet, Refused


class Troubled:
    """What the outside world does next."""

    raises: ClassVar[dict[str, BaseException]] = {}  # by method: raised instead of calling
    survived: ClassVar[set[tuple[str, str]]] = set()  # calls that killed already
    dies: ClassVar[type[BaseException] | None] = None  # raised after each new call has had its effect


class TroubledStorage(LocalStorage):
    """Raises what the test said."""

    def ensure_space(self, space: str, *, owner: str) -> None:
        if "ensure_space" in Troubled.raises:
            raise Troubled.raises["ensure_space"]
        super().ensure_space(space, owner=owner)


class MailAtFirstLogin(LocalMail):
    """Makes a personal mailbox when its holder signs in, as Messages does."""

    signed_in: ClassVar[bool] = False

    def ensure_mailbox(self, mailbox: Mailbox, *, owner: str) -> None:
        if mailbox.kind == "personal" and not self.signed_in:
            raise NotYet("first_login", "Elle s’ouvrira à la première connexion.", after=timedelta(hours=1))
        super().ensure_mailbox(mailbox, owner=owner)


class MailWithoutMairie(LocalMail):
    """Refuses one mailbox."""

    def ensure_mailbox(self, mailbox: Mailbox, *, owner: str) -> None:
        if mailbox.address.startswith("mairie@"):
            raise Refused("homonym", "Une boîte de ce nom existe déjà.")
        super().ensure_mailbox(mailbox, owner=owner)


def mortal(base: type) -> type:
    """Return the backend whose process dies after each call that it has not survived yet: the answer is lost."""

    def deadly(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            key = (f"{base.__name__}.{name}", repr((args[1:], sorted(kwargs.items()))))
            if Troubled.dies is not None and key not in Troubled.survived:
                Troubled.survived.add(key)
                raise Troubled.dies
            return answer

        return call

    public = {name: value for name, value in vars(base).items() if callable(value) and not name.startswith("_")}
    return type(f"Mortal{base.__name__}", (base,), {name: deadly(name, method) for name, method in public.items()})


MortalRegistrar = mortal(LocalRegistrar)
MortalDns = mortal(LocalDns)
MortalMail = mortal(LocalMail)
MortalStorage = mortal(LocalStorage)
