"""What is judged on the declaration alone: 1.1, 1.2, 1.8, 2.1, 2.2, 2.3, and the waiver of 2.3."""

from dataclasses import dataclass

from onboarding.audits import declared
from onboarding.audits.declared import Declaration
from onboarding.audits.facts import organizational_domain
from onboarding.audits.lists import Lists
from onboarding.audits.rules.finding import Finding, fails, passes


@dataclass(frozen=True)
class Declared:
    """The findings, what may be probed (None: nothing), and whether 2.3 is waived."""

    findings: dict[str, Finding]
    site: declared.Site | None
    domain: str | None
    waived: bool


def judge(said: Declaration, lists: Lists) -> Declared:
    """Judge a declaration."""
    site, domain = declared.site(said.site), declared.mail_domain(said.email)
    presence = _site(said, site, lists)
    usable = site if presence.state == "pass" else None
    found = {"1.1": presence}
    if site is not None:
        found["1.2"] = _sovereign(site, lists)
        found["1.8"] = _https(site)
    address = _address(said, domain)
    found["2.1"] = address
    if domain is not None:
        found["2.2"] = _generic(said, domain, lists)
        found["2.3"] = _same(usable, domain, found["2.2"], lists)
    lost = usable is None or usable.internationalised or usable.extension not in lists.sovereign_extensions
    fine = domain is not None and domain.rpartition(".")[2] in lists.sovereign_extensions and "xn--" not in domain
    return Declared(found, usable, domain, waived=lost and fine)


def _site(said: Declaration, site: declared.Site | None, lists: Lists) -> Finding:
    raw = (said.site,) if said.site else ()
    if not said.site.strip():
        return fails("1.1", "site_missing", "Aucun site n’est déclaré sur Service-Public.gouv.fr.")
    if site is None:
        return fails("1.1", "site_malformed", "L’adresse de site déclarée n’est pas une adresse valable.", raw)
    if platform := lists.is_platform(site.host):
        sentence = f"Le site est hébergé sous le nom d’une plateforme partagée ({platform})."
        return fails("1.1", "site_platform", sentence, raw)
    if said.site_owner:
        return fails("1.1", "site_borrowed", f"Le domaine du site est celui de « {said.site_owner} ».", raw)
    return passes("1.1", "Un site est déclaré sur Service-Public.gouv.fr.", raw)


def _sovereign(site: declared.Site, lists: Lists) -> Finding:
    if site.internationalised:
        return fails("1.2", "site_idn", "Le nom du site contient des lettres accentuées.", (site.host,))
    if site.extension not in lists.sovereign_extensions:
        sentence = f"L’extension « .{site.extension} » n’est pas une extension souveraine."
        return fails("1.2", "extension_foreign", sentence, (site.host,))
    return passes("1.2", f"L’extension « .{site.extension} » est une extension souveraine.", (site.host,))


def _https(site: declared.Site) -> Finding:
    if site.scheme == "https":
        return passes("1.8", "Le site est déclaré avec « https:// ».", (site.url,))
    return fails("1.8", "declared_http", "Le site est déclaré avec « http:// », sans le « s ».", (site.url,))


def _address(said: Declaration, domain: str | None) -> Finding:
    raw = (said.email,) if said.email else ()
    if not said.email.strip():
        return fails("2.1", "email_missing", "Aucune adresse électronique n’est déclarée sur Service-Public.gouv.fr.")
    if domain is None:
        return fails("2.1", "email_malformed", "L’adresse électronique déclarée n’est pas une adresse valable.", raw)
    return passes("2.1", "Une adresse électronique est déclarée sur Service-Public.gouv.fr.", raw)


def _generic(said: Declaration, domain: str, lists: Lists) -> Finding:
    if domain in lists.generic_mail_domains:
        sentence = f"« {domain} » est une messagerie grand public : elle n’est pas à la collectivité."
        return fails("2.2", "generic_domain", sentence, (domain,))
    if said.mail_owner:
        sentence = f"Le domaine de messagerie est celui de « {said.mail_owner} »."
        return fails("2.2", "mail_borrowed", sentence, (domain,))
    return passes("2.2", "Le domaine de messagerie n’est pas celui d’une messagerie grand public.", (domain,))


def _same(  # noqa: PLR0911 - one return per thing that may differ
    site: declared.Site | None, domain: str, own: Finding, lists: Lists
) -> Finding:
    both = (domain, site.domain if site else "")
    if own.state != "pass":
        return fails("2.3", "depends_on:2.2", own.sentence, both)
    if domain.rpartition(".")[2] not in lists.sovereign_extensions:
        sentence = "L’extension du domaine de messagerie n’est pas une extension souveraine."
        return fails("2.3", "mail_extension_foreign", sentence, both)
    if "xn--" in domain:
        return fails("2.3", "mail_idn", "Le domaine de messagerie contient des lettres accentuées.", both)
    if site is None:
        return fails("2.3", "depends_on:1.1", "Aucun site en propre n’est déclaré, auquel comparer.", both)
    if domain == site.domain:
        return passes("2.3", "La messagerie et le site ont le même nom de domaine.", both)
    above = organizational_domain(domain)
    if above == organizational_domain(site.domain) and not lists.is_shared(above):
        sentence = "La messagerie et le site dépendent du même nom de domaine."
        return passes("2.3", sentence, both, reason="same_organisational_domain")
    return fails("2.3", "domains_differ", "La messagerie et le site n’ont pas le même nom de domaine.", both)
