"""Dossiers of real communes in every state, with their events in chains that hold, written by COPY."""

import datetime as dt
import random
import uuid
from collections.abc import Iterable, Iterator, Sequence

from django.db import connection, models
from django.utils import timezone

from onboarding.intake import names
from onboarding.intake.checklist import CHECKS
from onboarding.intake.desk_models import CheckItem, SavedView
from onboarding.intake.models import Dossier, MailboxRequest, NameChoice, Remark
from onboarding.intake.request_models import Claim
from onboarding.intake.thread_models import Message
from suite.accounts.models import OperatorRole, User
from suite.directory import importer, snapshot
from suite.directory.models import Operator, Organization
from suite.journal import workflow as journal
from suite.journal.models import Event, EventText
from suite.notices.models import Notice

S = Dossier.Status
# Of a hundred dossiers: most are decided, three in ten wait for somebody.
STATES = {
    S.SUBMITTED: 10, S.IN_REVIEW: 12, S.NEEDS_CHANGES: 6, S.SECOND_APPROVAL: 2, S.APPROVED: 55, S.REJECTED: 9,
    S.WITHDRAWN: 6,
}  # fmt: skip
# Where the name comes from, of a hundred; the last two bring alternatives, and more to read.
FAMILIES = {Dossier.Family.SHARED: 70, Dossier.Family.NEW: 20, Dossier.Family.EXISTING: 10}
LETTER = "Bonjour,\n\nVotre demande avance : voici où elle en est, et ce que nous attendons de vous.\n" * 8
KINDS = ("save", "save", "save", "save", "submit", "take", "request_changes", "save", "save", "resubmit", "assign")
NOTIFIED = {"submit", "request_changes"}
RUNNING = {S.SUBMITTED, S.IN_REVIEW, S.SECOND_APPROVAL}
STAFF = 12
FAMILY_NAMES = ("Martin", "Bernard", "Le Goff", "Étienne", "Rousseau", "Petit", "Garnier", "Faure", "Mercier", "Blanc")


def count() -> tuple[int, int]:
    """Return how many dossiers and events there are."""
    return Dossier.objects.count(), Event.objects.count()


def copy(model: type[models.Model], rows: Iterable[models.Model]) -> None:
    """Write rows by COPY: their columns are those of the model, whatever they become."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]  # noqa: SLF001 - documented
    columns = ", ".join(f'"{field.column}"' for field in fields)
    with connection.cursor() as cursor:
        statement = f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN'  # noqa: SLF001 - documented
        with cursor.cursor.copy(statement) as stream:
            for row in rows:
                stream.write_row([field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields])


def renumber(model: type[models.Model]) -> None:
    """Have the next row of a numbered table follow those that were copied."""
    table = model._meta.db_table  # noqa: SLF001 - documented
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM \"{table}\"))")  # noqa: S608 - our own


class Builder:
    """Fills one database, in two goes."""

    def __init__(self) -> None:
        self.random = random.Random(35_000)
        self.now = timezone.now()
        self.organizations: list[Organization] = []
        self.staff: list[User] = []
        self.made = 0
        self.events = 0

    def territory(self) -> None:
        """Import the real communes, and make the operators and their people."""
        importer.load(snapshot.shipped()[0], snapshot.mergers(), snapshot.digest(snapshot.read_shipped()))
        # A commune each, and EPCI for the rest: there are fewer than 35,000 communes.
        current = Organization.objects.filter(successor__isnull=True)
        communes = list(current.filter(kind="commune"))
        self.random.shuffle(communes)
        self.organizations = [*communes, *current.filter(kind="epci").order_by("code")]
        self.national = Operator.objects.filter(national=True).first() or Operator.objects.create(
            name="ANCT", name_with_article="l’ANCT", national=True
        )
        departments = sorted({one.department_id for one in self.organizations if one.department_id})
        self.local: dict[str, Operator] = {}
        for index in range(0, len(departments), 3):
            codes = departments[index : index + 3]
            operator = Operator.objects.create(
                name=f"OPSN {codes[0]}", name_with_article=f"l’OPSN {codes[0]}", departments=codes,
                status="partenaire_avec_services",
            )  # fmt: skip
            self.local |= dict.fromkeys(codes, operator)
        first = self.local[departments[0]]
        roles = ["lead", *["instructor"] * (STAFF - 1)]
        for operator in (self.national, first):
            for role in roles:
                user = self._person()
                user.save(force_insert=True)
                OperatorRole.objects.create(user=user, operator=operator, role=role)
                self.staff.append(user)

    def readers(self) -> list[User]:
        """Return who looks: the national lead, and an instructor of one territory."""
        people = [self.staff[0], self.staff[STAFF + 1]]
        if not SavedView.objects.exists():
            for user in people:
                for name, query in (
                    ("En retard", "delai=retard"),
                    ("Les miennes", "attribution=moi"),
                    ("À prendre", "statut=submitted"),
                ):
                    SavedView.objects.create(owner=user, name=name, query=query)
        return people

    def _person(self) -> User:
        usual = self.random.choice(FAMILY_NAMES)
        return User(
            email=f"{uuid.UUID(int=self.random.getrandbits(128)).hex[:12]}@mairie.example",
            given_name="Camille",
            usual_name=usual,
            password="!",
        )

    # --- Dossiers -----------------------------------------------------------------------------------------------------

    def dossiers(self, number: int, events_each: float) -> None:
        """Add dossiers, one per organization, with all that hangs on them."""
        chosen = self.organizations[self.made : self.made + number]
        authors = [self._person() for _ in chosen]
        rows = [self._dossier(organization, author) for organization, author in zip(chosen, authors, strict=True)]
        copy(User, authors)
        copy(Dossier, rows)
        self._add(NameChoice, [one for pair in zip(rows, chosen, strict=True) for one in self._wishes(*pair)])
        copy(MailboxRequest, [box for dossier in rows for box in self._mailboxes(dossier)])
        opened = [dossier for dossier in rows if dossier.status in Dossier.OPEN]
        self._add(CheckItem, [item for dossier in opened for item in self._checks(dossier)])
        copy(Remark, [self._remark(dossier) for dossier in opened if dossier.status == S.NEEDS_CHANGES])
        copy(Claim, [self._claim(dossier) for dossier in opened[::10]])
        copy(Message, [message for dossier in opened for message in self._messages(dossier)])
        self._tell(rows, round(number * events_each))
        self.made += len(chosen)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        self.sample = [dossier.pk for dossier in self.random.sample(opened, min(40, len(opened)))]
        # What both readers see: in every state, most of it open as in a day's work.
        followed = list(Dossier.objects.followed_by(self.staff[STAFF + 1]).order_by("reference"))
        decided = [dossier for dossier in followed if dossier.status not in Dossier.OPEN]
        waiting = [dossier for dossier in followed if dossier.status in Dossier.OPEN]
        self.shared = [dossier.pk for dossier in (*waiting[:40], *decided[:20])]

    def _add(self, model: type[models.Model], rows: Sequence[models.Model]) -> None:
        """Write the rows of a table whose keys are numbers."""
        copy(model, self._numbered(model, rows))
        renumber(model)

    def _numbered(self, model: type[models.Model], rows: Sequence[models.Model]) -> Sequence[models.Model]:
        last = model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0  # noqa: SLF001 - documented
        for number, row in enumerate(rows, last + 1):
            row.pk = number
        return rows

    def _dossier(self, organization: Organization, author: User) -> Dossier:
        status = self.random.choices(list(STATES), weights=list(STATES.values()))[0]
        sent = self.now - dt.timedelta(hours=self.random.uniform(1, 12 * 24 if status in Dossier.OPEN else 700 * 24))
        self.number = getattr(self, "number", 0) + 1
        decided = status in Dossier.DECIDED
        in_hand = decided or status in {S.IN_REVIEW, S.NEEDS_CHANGES, S.SECOND_APPROVAL}
        operator = self.local.get(organization.department_id or "", self.national)
        people = self.staff[STAFF:] if operator == self.local.get("01") else self.staff[:STAFF]
        assignee = self.random.choice(people) if in_hand else None
        return Dossier(
            reference=f"D-2026-{self.number:05d}",
            organization=organization,
            author=author,
            operator=operator,
            assignee=assignee,
            status=status,
            created_at=sent,
            changed_at=sent + dt.timedelta(hours=2),
            requester_given_name=author.given_name,
            requester_family_name=author.usual_name,
            requester_function=Dossier.Function.SECRETARY,
            requester_email=author.email,
            requester_phone="02 97 00 00 00",
            family=self.random.choices(list(FAMILIES), weights=list(FAMILIES.values()))[0],
            storage_gb=10,
            declares_exact=True,
            declares_mandate=True,
            accepts_terms=True,
            verdict={"outcome": "eligible_anct"},
            submitted_at=sent,
            last_submitted_at=sent,
            clock_at=sent,
            paused_at=self.now if status == S.NEEDS_CHANGES else None,
            due_at=sent + dt.timedelta(days=7) if status in RUNNING else None,
            watch_at=sent + dt.timedelta(days=4) if status in RUNNING else None,
            decided_at=sent + dt.timedelta(days=self.random.uniform(1, 9)) if decided else None,
            decided_by=assignee if decided else None,
        )

    def _wishes(self, dossier: Dossier, organization: Organization) -> Iterator[NameChoice]:
        label = names.slug(organization.name) or "commune"
        shared = dossier.family == Dossier.Family.SHARED
        wanted = [f"{label}.collectivite.fr"] if shared else [f"{label}.fr", f"mairie-{label}.fr", f"ville-{label}.fr"]
        for rank, fqdn in enumerate(wanted):
            yield NameChoice(dossier=dossier, rank=rank, typed=fqdn, fqdn=fqdn, skeleton=names.skeleton(fqdn))

    def _remark(self, dossier: Dossier) -> Remark:
        return Remark(dossier=dossier, reason="mailbox_list", fields=["mailboxes"], text="Il manque l’accueil.")

    def _claim(self, dossier: Dossier) -> Claim:
        return Claim(dossier=dossier, fact="population", shown="812 habitants", claimed="840", author=dossier.author)

    def _messages(self, dossier: Dossier) -> Iterator[Message]:
        for side in ("commune", "operator", "commune"):
            author = dossier.author if side == "commune" else dossier.assignee
            yield Message(
                dossier=dossier, kind="message", side=side, author=author, author_label="Camille Essai",
                body="Bonjour, avez-vous pu regarder ce point ?", created_at=dossier.created_at,
            )  # fmt: skip

    def _mailboxes(self, dossier: Dossier) -> Iterator[MailboxRequest]:
        for position, local_part in enumerate(("mairie", "camille.essai")):
            yield MailboxRequest(
                dossier=dossier, position=position, kind="shared" if position == 0 else "personal",
                local_part=local_part, given_name="Camille" if position else "",
                family_name="Essai" if position else "", administrator=bool(position),
                recovery_email="secours@ailleurs.example",
            )  # fmt: skip

    def _checks(self, dossier: Dossier) -> Iterator[CheckItem]:
        for code in CHECKS:
            yield CheckItem(
                dossier=dossier, code=code, result="unknown" if code == "activity" else "ok",
                evidence="Conforme à ce que disent les données publiques.", source="Nos demandes",
                dossier_version=1, fetched_at=self.now, valid_until=self.now + dt.timedelta(hours=24),
                value=self.random.choice(("M0", "M1", "M2", "M3")) if code == "mandate" else "",
            )  # fmt: skip

    # --- Events -------------------------------------------------------------------------------------------------------

    def _tell(self, rows: Sequence[Dossier], number: int) -> None:
        """Write the events of the dossiers, as many for each as makes `number`, each chained to the one before."""
        each, left = divmod(number, len(rows))
        told = [
            event
            for index, dossier in enumerate(rows)
            for event in self._events(dossier, each + (1 if index < left else 0))
        ]
        self._add(Event, told)
        self._add(EventText, [EventText(event=event, actor_label="Camille Essai") for event in told])
        # A notice for one event in five: some 80,000 rows, the text of each beside it.
        to = {dossier.pk: dossier.requester_email for dossier in rows}
        copy(Notice, [self._notice(event, to[event.subject]) for event in told if event.kind in NOTIFIED])

    def _notice(self, event: Event, recipient: str) -> Notice:
        return Notice(
            dedupe_key=f"bench:{event.pk}", event=event, kind=f"dossier.{event.kind}", recipient=recipient,
            subject="Votre demande avance", body_text=LETTER, body_html=LETTER, state=Notice.State.SENT,
            sent_at=event.recorded_at, created_at=event.recorded_at,
        )  # fmt: skip

    def _events(self, dossier: Dossier, number: int) -> Iterator[Event]:
        previous = ""
        for seq in range(1, number + 1):
            at = dossier.created_at + dt.timedelta(minutes=7 * seq)
            event = Event(
                stream="dossier",
                subject=dossier.pk,
                seq=seq,
                kind=KINDS[(seq - 1) % len(KINDS)],
                actor=dossier.author_id,
                payload={"from": "draft", "to": str(dossier.status), "step": seq % 5},
                effective_at=at,
                recorded_at=at,
                prev_hash=previous,
            )
            event.hash = journal.digest(event)
            previous = event.hash
            yield event

    def broken(self) -> int:
        """Return how many events do not hold, among those of a thousand dossiers."""
        wrong = 0
        for pk in Dossier.objects.order_by("pk").values_list("pk", flat=True)[:1000]:
            previous = ""
            for event in Event.objects.filter(stream="dossier", subject=pk).order_by("seq"):
                wrong += event.prev_hash != previous or event.hash != journal.digest(event)
                previous = event.hash
        return wrong

    # --- Addresses ----------------------------------------------------------------------------------------------------

    def queue_addresses(self) -> Iterator[str]:
        """Yield the first page of the queue, then the one after."""
        yield "/instruction/?vue=toutes"
        yield f"/instruction/?vue=toutes&suite={self._cursor()}"

    def _cursor(self) -> str:
        from onboarding.intake import desk_filters, keyset

        order = desk_filters.ORDERS["echeance"]
        row = Dossier.objects.get(pk=self.random.choice(self.sample))
        return keyset.write(row, order, backward=False)

    def filtered_addresses(self) -> Iterator[str]:
        """Yield lists narrowed and sorted in other ways."""
        for query in (
            "delai=retard", "departement=01", "statut=approved&tri=-changement", "q=saint", "q=martin",
            "attribution=moi", "habilitation=M2", "tri=nom", "population=500-1999&famille=collectivite",
        ):  # fmt: skip
            yield f"/instruction/?{query}"

    def dossier_addresses(self) -> Iterator[str]:
        """Yield a dossier that both readers see."""
        yield f"/instruction/{self.random.choice(self.shared)}/"
