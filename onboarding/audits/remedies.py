"""How to mend what a finding says: for a town-hall secretary, and for whoever holds the domain. Pure."""

from dataclasses import dataclass

from onboarding.audits.rules.finding import Finding


@dataclass(frozen=True)
class Remedy:
    """What to do, whom to ask, and the record to copy where there is one (`{domain}` is filled in)."""

    text: str
    ask: str
    record: str = ""


_HOLDER = "la personne ou le prestataire qui gère votre nom de domaine"
_SITE = "le prestataire de votre site"
_MAIL = "le prestataire de votre messagerie"
_DILA = "vous-même, sur Service-Public.gouv.fr (« Mettre à jour les coordonnées »)"
_OPSN = "votre opérateur public de services numériques, ou la Suite territoriale"

_BY_REASON: dict[str, Remedy] = {
    "site_missing": Remedy("Déclarez votre site sur votre fiche de Service-Public.gouv.fr.", _DILA),
    "site_malformed": Remedy("Corrigez l’adresse du site sur votre fiche de Service-Public.gouv.fr.", _DILA),
    "site_platform": Remedy("Ouvrez un site sous un nom de domaine de la collectivité, puis déclarez-le.", _OPSN),
    "site_borrowed": Remedy("Ouvrez un site sous un nom de domaine de la commune, puis déclarez-le.", _OPSN),
    "site_idn": Remedy("Gardez le nom accentué comme simple renvoi, et déclarez un nom sans accent.", _HOLDER),
    "extension_foreign": Remedy("Choisissez un nom en .fr, régional, ou sous collectivite.fr.", _OPSN),
    "declared_http": Remedy("Sur votre fiche, remplacez « http:// » par « https:// ».", _DILA),
    "email_missing": Remedy("Déclarez une adresse électronique sur votre fiche de Service-Public.gouv.fr.", _DILA),
    "email_malformed": Remedy("Corrigez l’adresse électronique sur votre fiche de Service-Public.gouv.fr.", _DILA),
    "generic_domain": Remedy("Passez à une adresse sous un nom de domaine de la collectivité.", _OPSN),
    "mail_borrowed": Remedy("Passez à une adresse sous un nom de domaine de la commune.", _OPSN),
    "mail_extension_foreign": Remedy("Passez à un nom en .fr, régional, ou sous collectivite.fr.", _OPSN),
    "mail_idn": Remedy("Passez à un nom de domaine sans lettre accentuée.", _OPSN),
    "domains_differ": Remedy("Prenez le même nom de domaine pour le site et pour la messagerie.", _OPSN),
    "no_mx": Remedy("Publiez un enregistrement MX qui désigne votre serveur de messagerie.", _HOLDER,
                    "{domain}. IN MX 10 serveur-de-votre-prestataire."),
    "null_mx": Remedy("Remplacez le MX « . » par celui de votre serveur de messagerie.", _HOLDER,
                      "{domain}. IN MX 10 serveur-de-votre-prestataire."),
    "no_spf": Remedy("Publiez un enregistrement SPF ; votre prestataire de messagerie vous en donne le contenu exact.",
                     _HOLDER, '{domain}. IN TXT "v=spf1 mx -all"'),
    "spf_duplicate": Remedy("Réunissez les enregistrements SPF en un seul.", _HOLDER),
    "spf_syntax": Remedy("Corrigez le terme illisible de l’enregistrement SPF.", _HOLDER),
    "spf_lookups": Remedy("Retirez de l’enregistrement SPF les prestataires qui n’envoient plus pour vous.", _HOLDER),
    "spf_voids": Remedy("Retirez de l’enregistrement SPF les noms qui n’existent plus.", _HOLDER),
    "spf_include_missing": Remedy("Retirez de l’enregistrement SPF le renvoi qui ne mène à rien.", _HOLDER),
    "spf_loop": Remedy("Retirez de l’enregistrement SPF le renvoi qui ramène à lui-même.", _HOLDER),
    "spf_depth": Remedy("Raccourcissez la suite de renvois de l’enregistrement SPF.", _HOLDER),
    "spf_ptr": Remedy("Remplacez « ptr » par les adresses ou le renvoi que donne votre prestataire.", _HOLDER),
    "spf_open": Remedy("Terminez l’enregistrement SPF par « -all ».", _HOLDER),
    "spf_neutral": Remedy("Terminez l’enregistrement SPF par « ~all », puis par « -all ».", _HOLDER),
    "no_dmarc": Remedy("Publiez un enregistrement DMARC : d’abord en observation, puis en quarantaine.", _HOLDER,
                       '_dmarc.{domain}. IN TXT "v=DMARC1; p=quarantine"'),
    "dmarc_duplicate": Remedy("Gardez un seul enregistrement DMARC.", _HOLDER),
    "dmarc_policy_none": Remedy("Passez la politique DMARC à « quarantine », puis à « reject ».", _HOLDER,
                                '_dmarc.{domain}. IN TXT "v=DMARC1; p=quarantine"'),
    "dmarc_partial": Remedy("Retirez « pct » de l’enregistrement DMARC.", _HOLDER,
                            '_dmarc.{domain}. IN TXT "v=DMARC1; p=quarantine"'),
    "french_outside_eu": Remedy("Choisissez une messagerie dont les serveurs sont dans l’Union européenne.", _OPSN),
    "outside_eu": Remedy("Choisissez une messagerie dont les serveurs sont dans l’Union européenne.", _OPSN),
    "stays_http": Remedy("Faites renvoyer l’adresse en http vers https.", _SITE),
    "redirects_elsewhere": Remedy("Déclarez l’adresse du site qui s’affiche, ou retirez le renvoi.", _DILA),
    "counterpart_differs": Remedy("Faites renvoyer l’adresse avec « www » et celle sans vers le même site.", _SITE),
    "redirect_http": Remedy("Faites renvoyer l’adresse en http vers https.", _SITE),
    "no_https": Remedy("Installez un certificat sur votre site : ils sont gratuits.", _SITE),
    "blocked": Remedy("Demandez que nos vérifications soient acceptées ; notre nom est dans l’en-tête « User-Agent ».",
                      _SITE),
    "private_address": Remedy("Corrigez l’adresse publiée pour le site.", _HOLDER),
    "dkim_revoked": Remedy("Publiez la clé DKIM que donne votre prestataire de messagerie.", _MAIL),
    "dkim_unreadable": Remedy("Publiez la clé DKIM telle que la donne votre prestataire de messagerie.", _MAIL),
    "dkim_duplicate": Remedy("Gardez une seule clé DKIM sous ce nom.", _HOLDER),
    "dkim_weak": Remedy("Demandez une clé DKIM d’au moins 2048 bits.", _MAIL),
    "no_dkim": Remedy("Publiez la clé DKIM que donne votre prestataire de messagerie.", _MAIL),
    "dkim_testing": Remedy("Retirez « t=y » de la clé DKIM.", _MAIL),
    "no_tls_rpt": Remedy("Publiez un enregistrement TLS-RPT.", _HOLDER,
                         '_smtp._tls.{domain}. IN TXT "v=TLSRPTv1; rua=mailto:postmaster@{domain}"'),
    "no_caa": Remedy("Publiez un enregistrement CAA qui nomme l’autorité de vos certificats.", _HOLDER,
                     '{domain}. IN CAA 0 issue "letsencrypt.org"'),
    "caa_other_issuer": Remedy("Ajoutez l’autorité de vos certificats à l’enregistrement CAA, ou changez-en.", _HOLDER),
    "dnssec_bogus": Remedy("Faites corriger la signature DNSSEC, ou retirez l’enregistrement DS.", _HOLDER),
    "no_dnssec": Remedy("Demandez l’activation de DNSSEC.", _HOLDER),
    "mta_sts_duplicate": Remedy("Gardez un seul enregistrement MTA-STS.", _HOLDER),
    "no_mta_sts": Remedy("Demandez une politique MTA-STS.", _MAIL),
    "no_hsts": Remedy("Demandez l’en-tête HSTS, d’au moins six mois.", _SITE),
    "hsts_short": Remedy("Demandez un en-tête HSTS d’au moins six mois.", _SITE),
    "no_starttls": Remedy("Demandez que le serveur chiffre les courriels qu’il reçoit (STARTTLS).", _MAIL),
    "no_ipv6": Remedy("Demandez une adresse IPv6 pour le serveur.", _MAIL),
    "no_ipv6_site": Remedy("Demandez une adresse IPv6 pour le site.", _SITE),
    "expires_soon": Remedy("Renouvelez le certificat avant cette date.", _SITE),
}  # fmt: skip
_BY_PREFIX = (
    ("certificate_", Remedy("Faites renouveler ou corriger le certificat du site.", _SITE)),
    ("status_", Remedy("Signalez l’erreur à qui tient votre site.", _SITE)),
    ("dns_nx", Remedy("Vérifiez que le nom de domaine est renouvelé et que l’adresse déclarée est la bonne.", _HOLDER)),
    ("tls_", Remedy("Demandez que seules les versions 1.2 et 1.3 de TLS soient acceptées.", _SITE)),
    ("policy_", Remedy("Faites corriger la politique MTA-STS.", _MAIL)),
)
_BY_RULE = {"1": Remedy("Signalez-le à qui tient votre site.", _SITE), "2": Remedy("Signalez-le.", _MAIL)}


def remedy(finding: Finding, domain: str) -> Remedy | None:
    """Return how to mend a finding; None when there is nothing to mend, or when what it stands on comes first."""
    if finding.state in {"pass", "not_required"} or finding.reason.startswith("depends_on:"):
        return None
    found = _BY_REASON.get(finding.reason)
    if found is None:
        found = next((each for prefix, each in _BY_PREFIX if finding.reason.startswith(prefix)), None)
    if found is None and finding.state == "fail":
        found = _BY_RULE.get(finding.id[0])
    return Remedy(found.text, found.ask, found.record.format(domain=domain)) if found else None
