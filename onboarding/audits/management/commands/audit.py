"""Look at one collectivité, or at one domain, and say what is healthy, why, and how to mend the rest."""

import json
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from onboarding.audits import declared, examination
from onboarding.audits.declarations import declaration_of
from onboarding.audits.declared import Declaration
from onboarding.audits.remedies import remedy
from onboarding.audits.resolver import Resolver, server_of
from onboarding.audits.rules.report import CRITERIA, report
from suite.directory.identifiers import is_siren
from suite.directory.models import Organization

MARKS = {"pass": "✓", "fail": "✗", "unknown": "?", "not_required": "–", "warning": "!", "advice": "·"}


class Command(BaseCommand):
    """Exit status: 0 looked at, 4 nobody of that name declares anything."""

    help = "Audit a domain, or what the collectivité of a SIREN declares to Service-Public."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", help="a domain name, or a SIREN")
        parser.add_argument("--resolver", default="", help="the DNS server to ask: IP or IP:PORT")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *, target: str, resolver: str, as_json: bool, **_: object) -> None:
        try:
            if resolver:
                server_of(resolver)
        except ValueError as error:
            raise CommandError(f"« {resolver} » n’est pas une adresse de serveur (IP ou IP:PORT).") from error
        declaration, assumed = _declaration(target)
        case = examination.examine(declaration, Resolver(resolver))
        judged = report(case)
        if as_json:
            answer = {"target": target, "assumed": assumed, **examination.as_json(case, judged)}
            self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2))
            return
        domain = declared.mail_domain(declaration.email) or target
        waiting = examination.to_confirm(judged)
        for finding in judged.findings.values():
            beyond = "" if finding.id in CRITERIA else " (au-delà du référentiel)"
            doubt = " (à confirmer)" if finding.id in waiting else ""
            self.stdout.write(f"{MARKS[finding.state]} {finding.id}{beyond} {finding.sentence}{doubt}")
            if mending := remedy(finding, domain):
                self.stdout.write(f"    {mending.text} À voir avec {mending.ask}.")
                if mending.record:
                    self.stdout.write(f"    {mending.record}")
        self.stdout.write(", ".join(f"{group} : {state}" for group, state in judged.groups.items()))


def _declaration(target: str) -> tuple[Declaration, bool]:
    """Return what is declared, or what is assumed of a domain that somebody types."""
    digits = "".join(target.split())
    if is_siren(digits):
        organization = Organization.objects.filter(siren=digits).first()
        if organization is None:
            raise CommandError(f"Aucune collectivité n’a le SIREN {digits}.", returncode=4)
        return declaration_of(organization), False
    domain = declared.to_ascii(target.strip())
    if domain is None:
        raise CommandError(f"« {target} » n’est ni un SIREN, ni un nom de domaine.", returncode=4)
    return Declaration(email=f"contact@{domain}", site=f"https://{domain}/"), True
