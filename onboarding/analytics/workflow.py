"""The verbs of the groups."""

from collections.abc import Collection
from datetime import date

from django.db import transaction

from onboarding.analytics.models import PilotGroup, PilotMember
from suite.accounts.models import User
from suite.directory.models import Organization
from suite.journal.workflow import record


@transaction.atomic
def enroll(group: PilotGroup, organizations: Collection[Organization], *, since: date, by: User | None) -> int:
    """Put the organizations in the group from `since` on; return how many were not there yet.

    Who is in already keeps its first date. One event of the journal names those who came. `by=None`: the system.
    """
    PilotGroup.objects.select_for_update().get(pk=group.pk)
    present = set(group.members.values_list("organization_id", flat=True))
    new = [organization for organization in organizations if organization.pk not in present]
    if new:
        PilotMember.objects.bulk_create(PilotMember(group=group, organization=one, since=since) for one in new)
        record(
            "pilot_group",
            group.pk,
            "pilot_group.enrolled",
            by=by,
            payload={"organizations": [str(one.pk) for one in new], "since": since.isoformat()},
        )
    return len(new)
