"""Marks of ours for providers that carry none: see `mark_models`."""

import hashlib
from collections.abc import Iterator

from onboarding.provisioning.backends.protocols import Owned
from onboarding.provisioning.errors import Refused
from onboarding.provisioning.mark_models import MailMark


class Marks:
    """The marks at one provider."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def of(self, domain: str, local_part: str = "") -> MailMark | None:
        """Return the mark of a domain, or of an address of it."""
        return MailMark.objects.filter(provider=self._provider, domain=domain, digest=_digest(local_part)).first()

    def claim(self, domain: str, local_part: str = "", *, owner: str, kind: str = "") -> MailMark:
        """Write the mark, once. `Refused("conflict")` when another owner, or another kind, has it."""
        mark, _ = MailMark.objects.get_or_create(
            provider=self._provider,
            domain=domain,
            digest=_digest(local_part),
            defaults={"owner": owner, "kind": kind},
        )
        self.check(mark, owner=owner, kind=kind)
        return mark

    @staticmethod
    def check(mark: MailMark, *, owner: str, kind: str | None = None) -> None:
        """Refuse what is another's, or serves otherwise."""
        if mark.owner != owner or (kind is not None and mark.kind != kind):
            what = "Cette adresse" if mark.digest else "La messagerie"
            raise Refused("conflict", f"{what} de {mark.domain} existe déjà, faite par quelqu’un d’autre ou autrement.")

    def forget(self, domain: str, local_part: str = "") -> None:
        """Take the mark away."""
        MailMark.objects.filter(provider=self._provider, domain=domain, digest=_digest(local_part)).delete()

    def kinds(self, domain: str) -> dict[str, str]:
        """Return the kinds of the addresses of a domain, by the digest of their local parts."""
        marks = MailMark.objects.filter(provider=self._provider, domain=domain).exclude(digest="")
        return dict(marks.values_list("digest", "kind"))

    def kind(self, kinds: dict[str, str], local_part: str, otherwise: str) -> str:
        """Return the kind of one address among those of `kinds`."""
        return kinds.get(_digest(local_part), otherwise)

    def domains(self) -> Iterator[Owned]:
        """Yield the marks of domains."""
        marks = MailMark.objects.filter(provider=self._provider, digest="").order_by("domain")
        for name, owner in marks.values_list("domain", "owner"):
            yield Owned(name, owner)


def _digest(local_part: str) -> str:
    return hashlib.sha256(local_part.lower().encode()).hexdigest() if local_part else ""
