"""Why a sign-in may fail, told to the person: a closed list, so that nothing a stranger sends is ever shown.

`code` names the page; `reason` is finer, and goes to the log and the journal only.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """A page of refusal: its status, what happened, what to do. `again` offers to start over."""

    status: int
    title: str
    happened: str
    remedy: str
    again: bool = True
    # Signing in again would silently be the same person: offer to leave ProConnect first.
    other_account: bool = False
    stronger: bool = False


class SignInRefused(Exception):
    """A sign-in stops here. Not one of Django's exceptions, which the library swallows along with their reason."""

    def __init__(self, code: str, reason: str = "", sub: str = "") -> None:
        super().__init__(reason or code)
        self.code = code
        self.reason = reason or code
        self.sub = sub  # once the provider's word for it is verified

    @property
    def refusal(self) -> Refusal:
        """The page to show."""
        return REFUSALS[self.code]


class RightRefused(Exception):
    """An act on a right stops here: `str()` is the French sentence to show, `http` the status it deserves."""

    def __init__(self, sentence: str, http: int = 409) -> None:
        super().__init__(sentence)
        self.http = http


REFUSALS = {
    "unknown_state": Refusal(
        400,
        "Cette tentative de connexion n’est plus valable",
        "L’adresse que vous avez suivie ne correspond à aucune connexion en cours dans ce navigateur : elle a déjà "
        "servi, elle vient d’un autre navigateur, ou les cookies sont bloqués.",
        "Recommencez la connexion depuis ce site, dans ce navigateur, en acceptant les cookies.",
    ),
    "expired_state": Refusal(
        400,
        "La connexion a pris trop de temps",
        "Plus de dix minutes se sont écoulées entre votre départ vers ProConnect et votre retour.",
        "Recommencez la connexion : vos informations chez ProConnect ne sont pas perdues.",
    ),
    "incomplete": Refusal(
        400,
        "La réponse de ProConnect est incomplète",
        "Vous êtes revenu de ProConnect sans le code qui permet de vous reconnaître.",
        "Recommencez la connexion. Si cela persiste, écrivez-nous.",
    ),
    "used_code": Refusal(
        400,
        "Cette connexion a déjà servi ou a expiré",
        "ProConnect ne reconnaît plus le code rapporté par votre navigateur : il ne vaut qu’une fois, pendant une "
        "minute.",
        "Recommencez la connexion, sans utiliser le bouton « Précédent » du navigateur.",
    ),
    "cancelled": Refusal(
        403,
        "La connexion a été interrompue",
        "Vous avez annulé la connexion chez ProConnect, ou ProConnect ne l’a pas autorisée.",
        "Recommencez quand vous voulez. Si vous n’avez pas annulé vous-même, demandez à la personne qui gère votre "
        "compte professionnel s’il est ouvert à ProConnect.",
        other_account=True,
    ),
    "provider_error": Refusal(
        502,
        "Votre fournisseur d’identité a rencontré une erreur",
        "ProConnect, ou le service de votre organisation qui vous y identifie, a répondu par une erreur. Votre compte "
        "n’est pas en cause.",
        "Réessayez dans quelques minutes. Si cela persiste, prévenez le service informatique de votre organisation.",
        other_account=True,
    ),
    "provider_unreachable": Refusal(
        503,
        "ProConnect ne répond pas",
        "Nous n’avons pas pu joindre ProConnect à temps pour terminer votre connexion.",
        "Réessayez dans quelques minutes. Les personnes déjà connectées peuvent continuer à travailler.",
    ),
    "answer_invalid": Refusal(
        502,
        "La réponse de ProConnect n’a pas pu être vérifiée",
        "Nous vérifions chaque réponse avant d’ouvrir une session ; celle-ci ne remplit pas toutes nos conditions. "
        "Par prudence, la connexion a été arrêtée.",
        "Recommencez. Si la même page revient, écrivez-nous en donnant la référence ci-dessous : c’est à nous d’agir.",
    ),
    "level_too_low": Refusal(
        403,
        "Le niveau d’identification est insuffisant",
        "Le service qui vous identifie ne garantit pas assez fortement votre identité pour ce site.",
        "Connectez-vous avec un autre compte professionnel, ou demandez à votre organisation de relever le niveau de "
        "garantie annoncé à ProConnect (au moins « eidas1 »).",
        other_account=True,
    ),
    "siret_invalid": Refusal(
        403,
        "Votre organisation n’est pas identifiable",
        "Le numéro SIRET transmis par ProConnect pour votre compte manque ou n’est pas valide : nous ne pouvons pas "
        "savoir pour quelle collectivité vous travaillez.",
        "Faites corriger le SIRET de votre compte professionnel par la personne qui le gère, puis reconnectez-vous.",
        other_account=True,
    ),
    "email_invalid": Refusal(
        403,
        "Votre adresse électronique manque",
        "ProConnect n’a pas transmis d’adresse électronique valide pour votre compte ; nous en avons besoin pour vous "
        "écrire.",
        "Faites compléter votre compte professionnel par la personne qui le gère, puis reconnectez-vous.",
        other_account=True,
    ),
    "not_public": Refusal(
        403,
        "Ce site est réservé aux agents publics",
        "ProConnect n’indique pas que vous êtes agent public. C’est normal pour une entreprise ; pour un agent, cela "
        "peut venir d’une panne passagère de ProConnect.",
        "Si vous êtes agent public, réessayez dans une heure, puis faites vérifier votre compte professionnel. Aucun "
        "de vos droits n’a été retiré.",
        other_account=True,
    ),
    "email_clash": Refusal(
        403,
        "Votre adresse est déjà celle d’un autre compte",
        "ProConnect vous présente sous une identité que nous ne connaissons pas, avec une adresse électronique qui "
        "appartient déjà à un compte. Cela arrive quand votre organisation change de fournisseur d’identité, ou quand "
        "une adresse change de titulaire.",
        "Nous ne rapprochons jamais deux comptes sans vérification. Notre équipe est prévenue : écrivez-nous en "
        "donnant la référence ci-dessous.",
        again=False,
        other_account=True,
    ),
    "identity_revoked": Refusal(
        403,
        "Cette identité a été remplacée",
        "Une personne de notre équipe a rattaché votre compte à une autre identité ProConnect, à votre demande. Celle "
        "que vous venez d’utiliser n’ouvre plus rien.",
        "Connectez-vous avec votre nouvelle identité. Si vous n’avez rien demandé, écrivez-nous aussitôt en donnant la "
        "référence ci-dessous.",
        again=False,
        other_account=True,
    ),
    "inactive": Refusal(
        403,
        "Votre compte est fermé",
        "Ce compte a été fermé par une personne de notre équipe.",
        "Si vous pensez que c’est une erreur, écrivez-nous en donnant la référence ci-dessous.",
        again=False,
        other_account=True,
    ),
    "second_factor": Refusal(
        403,
        "Un second facteur est nécessaire",
        "Les opérateurs agissent pour beaucoup de collectivités : leur connexion demande un second facteur, autre "
        "qu’un code reçu par courriel.",
        "Recommencez avec votre second facteur (application, clé ou carte). Si votre organisation n’en propose pas, "
        "demandez-le à son service informatique.",
        again=False,
        other_account=True,
        stronger=True,
    ),
    "step_up_other": Refusal(
        403,
        "Une autre personne a répondu",
        "Le second facteur demandé à la personne connectée a été donné par un autre compte ProConnect. Par prudence, "
        "la session a été fermée et rien n’a été fait.",
        "Quittez ProConnect, puis reconnectez-vous avec votre propre compte.",
        other_account=True,
    ),
    "step_up_weak": Refusal(
        403,
        "Le second facteur n’a pas été donné",
        "Cette action demande un second facteur. ProConnect vous a reconnu, mais sans second facteur, ou a répondu que "
        "votre compte n’en a pas.",
        "Votre session est restée ouverte et rien n’a été fait. Réessayez avec votre second facteur (application, clé "
        "ou carte) ; si votre organisation n’en propose pas, une personne d’un opérateur peut agir à votre place.",
        again=False,
    ),
    "too_many": Refusal(
        429,
        "Trop de connexions depuis ce navigateur",
        "Ce navigateur a commencé beaucoup de connexions en quelques minutes.",
        "Attendez dix minutes, puis recommencez. Les autres navigateurs de votre réseau ne sont pas concernés.",
    ),
    "logout_state": Refusal(
        400,
        "Ce retour de déconnexion n’est pas reconnu",
        "L’adresse que vous avez suivie ne correspond à aucune déconnexion demandée dans ce navigateur. Votre session "
        "n’a pas changé.",
        "Pour vous déconnecter, utilisez le bouton « Se déconnecter » en haut de la page.",
        again=False,
    ),
}

# What ProConnect may say in `error=`; anything else is an error of the provider.
CALLBACK_ERRORS = {
    "access_denied": "cancelled",
    "login_required": "cancelled",
    "interaction_required": "cancelled",
    "temporarily_unavailable": "provider_unreachable",
}
# `error_description` may choose a known text, and is never shown. The codes are ProConnect's.
DENIALS = {"Y500015": "not_public"}
