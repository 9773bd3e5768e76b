"""What a website answers: 1.3 to 1.7 of the référentiel, and beyond it B7, B8, B10, B11."""

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from onboarding.audits.declared import Site
from onboarding.audits.lists import Lists
from onboarding.audits.rules.finding import Finding, advises, fails, passes, warns
from onboarding.audits.web_facts import Chain, WebFacts

REDIRECTS_MAX = 5
HSTS_DAYS = 180
EXPIRY_SHARE, EXPIRY_DAYS = 0.2, 14

# What says nothing of the site: our probe was turned away, or the name could not be looked up.
_UNKNOWN = frozenset({"dns_unknown"})
_SENTENCES = {
    "timeout": "Le site n’a pas répondu à temps.",
    "refused": "Le serveur du site refuse la connexion.",
    "reset": "Le serveur du site coupe la connexion.",
    "dns_nxdomain": "Le nom du site n’existe pas.",
    "dns_nodata": "Le nom du site n’a pas d’adresse.",
    "private_address": "Le nom du site mène à une adresse privée.",
    "certificate": "Le certificat du site n’est pas valable.",
    "tls": "La connexion chiffrée avec le site n’a pas pu s’établir.",
    "too_many_redirects": "Le site renvoie d’adresse en adresse sans fin.",
    "bad_redirect": "Le site renvoie à une adresse qui n’en est pas une.",
    "blocked": "Le site refuse nos vérifications : nous ne savons pas.",
    "dns_unknown": "Le DNS n’a pas répondu : nous ne savons pas.",
}


def judge(facts: WebFacts, site: Site, lists: Lists) -> dict[str, Finding]:
    """Judge each point on its own; what depends on what is said elsewhere."""
    return {
        "1.3": _reachable(facts),
        "1.4": _https(facts),
        "1.5": _certificate(facts),
        "1.6": _same_host(facts, site, lists),
        "1.7": _counterpart(facts, site),
        "B7": _versions(facts),
        "B8": _hsts(facts),
        "B11": _expiry(facts),
    }


def _ended(rule: str, chain: Chain) -> Finding | None:
    """Return why a chain did not end on a page; None when it did."""
    if chain.works:
        return None
    last = chain.last
    if last.status in {403, 429} or last.error in _UNKNOWN:
        code = last.error or "blocked"
        return Finding(rule, "unknown", code, _SENTENCES[code], _shown(chain))
    if last.status is not None:
        return fails(rule, f"status_{last.status}", f"Le site répond par une erreur ({last.status}).", _shown(chain))
    return fails(rule, last.error, _SENTENCES.get(last.error, "Le site n’a pas répondu."), _shown(chain))


def _reachable(facts: WebFacts) -> Finding:
    chain = facts.declared
    if chain.last.error == "certificate" and facts.unverified is not None:
        chain = facts.unverified  # a bad certificate is 1.5's affair
    if (problem := _ended("1.3", chain)) is not None:
        return problem
    if chain.empty:
        return passes("1.3", "Le site répond, mais sa page est vide.", _shown(chain), reason="empty_page")
    return passes("1.3", "Le site répond.", _shown(chain))


def _https(facts: WebFacts) -> Finding:
    chain = facts.from_http
    if chain is None:
        return Finding("1.4", "unknown", "not_asked", "Ce point n’a pas été vérifié.")
    if len(chain.hops) == 1 and chain.last.error == "refused":
        return _only_https(facts.from_https, chain)
    if chain.last.url.startswith("https://") and chain.last.error == "certificate":
        return passes("1.4", "L’adresse en http renvoie bien vers https.", _shown(chain), reason="bad_certificate")
    if (problem := _ended("1.4", chain)) is not None:
        return problem
    if not chain.last.url.startswith("https://"):
        return fails("1.4", "stays_http", "L’adresse en http ne renvoie pas vers https.", _shown(chain))
    return passes("1.4", "L’adresse en http renvoie vers https.", _shown(chain))


def _only_https(secure: Chain | None, refused: Chain) -> Finding:
    """Judge 1.4 when nothing is served in clear: then https must answer, whatever its certificate."""
    if secure is None:
        return Finding("1.4", "unknown", "not_asked", "Ce point n’a pas été vérifié.")
    problem = _ended("1.4", secure)
    if problem is None or secure.last.error == "certificate":
        return passes("1.4", "Le site ne répond qu’en https.", _shown(refused), reason="only_https")
    if problem.state == "unknown":
        return problem
    return fails("1.4", "refused", "Le site ne répond pas en https.", _shown(refused))


def _certificate(facts: WebFacts) -> Finding:
    seen = facts.certificate
    if seen is None:
        chain = facts.from_https
        if chain is not None and chain.last.error in {"refused", "tls", "reset", "timeout"}:
            return fails("1.5", "no_https", "Le site ne répond pas en https.", _shown(chain))
        return Finding("1.5", "unknown", "no_certificate_seen", "Le certificat n’a pas pu être lu.")
    shown = (seen.issuer, seen.not_before, seen.not_after, *seen.names[:5])
    sentences = {
        "expired": "Le certificat du site est expiré.",
        "not_yet": "Le certificat du site n’est pas encore valable.",
        "name": "Le certificat du site est au nom d’un autre.",
        "untrusted": "Le certificat du site n’est pas signé par une autorité reconnue.",
    }
    if seen.error:
        sentence = sentences.get(seen.error, "Le certificat du site n’est pas valable.")
        return fails("1.5", f"certificate_{seen.error}", sentence, shown)
    return passes("1.5", "Le certificat du site est valable.", shown)


def _same_host(facts: WebFacts, site: Site, lists: Lists) -> Finding:
    chains = [chain for chain in (facts.from_http, facts.from_https, facts.declared) if chain is not None]
    working = [chain for chain in chains if chain.works]
    if not working:
        return _ended("1.6", facts.declared) or Finding("1.6", "unknown", "not_asked", "Ce point n’a pas été vérifié.")
    for chain in working:
        if _host(chain.last.url) == site.domain:
            continue
        if len(chain.hops) - 1 > REDIRECTS_MAX:
            return fails("1.6", "too_many_redirects", "Le site renvoie plus de cinq fois.", _shown(chain))
        foreign = next(
            (host for host in map(_host, _urls(chain)) if host != site.domain and not lists.may_redirect_to(host)), ""
        )
        if foreign:
            sentence = f"Le site déclaré renvoie vers un autre : {foreign}."
            return fails("1.6", "redirects_elsewhere", sentence, _shown(chain))
    return passes("1.6", "Le site déclaré est bien celui qui s’affiche.", _shown(working[0]))


def _counterpart(facts: WebFacts, site: Site) -> Finding:  # noqa: PLR0911 - one return per way to be wrong
    if not site.is_registrable:
        return passes("1.7", "Ce point ne concerne que les noms de domaine principaux.", reason="not_applicable")
    first = _https(facts)
    if first.state != "pass" or first.reason != "ok":
        if first.state == "unknown":
            return replace(first, id="1.7")
        return fails("1.7", "redirect_http", "L’adresse en http ne renvoie pas vers https.", first.observed)
    shows = next((_host(each.last.url) for each in (facts.declared, facts.from_http) if each and each.works), "")
    for chain in (facts.other_http, facts.other_https):
        if chain is None:
            return Finding("1.7", "unknown", "not_asked", "Ce point n’a pas été vérifié.")
        if (problem := _ended("1.7", chain)) is not None:
            return problem
        if _host(chain.last.url) != shows:
            sentence = "Avec et sans « www », ce n’est pas le même site qui s’affiche."
            return fails("1.7", "counterpart_differs", sentence, _shown(chain))
    return passes("1.7", "Le site s’affiche avec et sans « www ».", _shown(facts.other_http or facts.declared))


def _versions(facts: WebFacts) -> Finding:
    old = [version for version in ("TLSv1", "TLSv1.1") if facts.tls.get(version)]
    new = [version for version in ("TLSv1.2", "TLSv1.3") if facts.tls.get(version)]
    if not new and all(facts.tls.get(version) is None for version in ("TLSv1.2", "TLSv1.3")):
        return Finding("B7", "unknown", "not_tested", "Les versions de TLS n’ont pas pu être essayées.")
    if not new:
        return fails("B7", "tls_too_old", "Le site n’accepte aucune version actuelle de TLS.", old)
    if old:
        return warns("B7", "tls_old_accepted", "Le site accepte encore d’anciennes versions de TLS.", [*old, *new])
    return passes("B7", "Le site n’accepte que des versions actuelles de TLS.", new)


def _hsts(facts: WebFacts) -> Finding:
    chain = facts.from_https
    if chain is None or not chain.works:
        return Finding("B8", "unknown", "no_https_answer", "Le site n’a pas répondu en https.")
    ages = [part.partition("=")[2].strip(' "') for part in chain.hsts.split(";") if "max-age" in part.lower()]
    if ages and ages[0].isdigit() and int(ages[0]) >= HSTS_DAYS * 86_400:
        return passes("B8", "Le site demande aux navigateurs de rester en https (HSTS).", (chain.hsts,))
    sentence = "Le site ne demande pas aux navigateurs de rester en https (HSTS), ou pas assez longtemps."
    return advises("B8", "hsts_short" if ages else "no_hsts", sentence, (chain.hsts,) if chain.hsts else ())


def _expiry(facts: WebFacts) -> Finding:
    seen = facts.certificate
    if seen is None or not seen.not_after or not facts.checked_at:
        return Finding("B11", "unknown", "no_certificate_seen", "Le certificat n’a pas pu être lu.")
    start, end = datetime.fromisoformat(seen.not_before), datetime.fromisoformat(seen.not_after)
    left = end - datetime.fromisoformat(facts.checked_at)
    if left > min(timedelta(days=EXPIRY_DAYS), EXPIRY_SHARE * (end - start)):
        return passes("B11", f"Le certificat est valable jusqu’au {end:%d/%m/%Y}.", (seen.not_after,))
    return warns("B11", "expires_soon", f"Le certificat expire le {end:%d/%m/%Y}.", (seen.not_after,))


def _urls(chain: Chain) -> list[str]:
    return [hop.url for hop in chain.hops]


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower().removeprefix("www.")


def _shown(chain: Chain) -> tuple[str, ...]:
    return tuple(f"{hop.url} → {hop.status if hop.status is not None else hop.error}" for hop in chain.hops)
