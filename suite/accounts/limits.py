"""How often somebody may try: counted in one table that every web process shares.

Key a limit by whoever acts (the account signed in, the address of a visitor), never by whom the act is aimed at:
otherwise a stranger uses up the tries of an honest person.
"""

import hashlib
from datetime import datetime

from django.db import connection
from django.utils import timezone

# The first try of a window opens it; a later one joins it. One statement: two tries at once are both counted.
_COUNT = """
    INSERT INTO accounts_tally AS tally (scope, digest, count, ends_at)
    VALUES (%(scope)s, %(digest)s, 1, %(now)s + make_interval(secs => %(seconds)s))
    ON CONFLICT (scope, digest) DO UPDATE SET
        count = CASE WHEN tally.ends_at <= %(now)s THEN 1 ELSE LEAST(tally.count, 1000000) + 1 END,
        ends_at = CASE WHEN tally.ends_at <= %(now)s THEN excluded.ends_at ELSE tally.ends_at END
    RETURNING count
"""


def allow(scope: str, key: str, *, limit: int, seconds: int) -> bool:
    """Count one try, and return whether it is among the first `limit` of its window of `seconds`.

    `scope` names the act ("invitation"), `key` who acts; only a digest of the key is kept. A try made inside a
    transaction that is undone is not counted: call this before the verb.
    """
    values: dict[str, str | datetime | int] = {
        "scope": scope,
        "digest": hashlib.sha256(key.encode()).hexdigest(),
        "now": timezone.now(),
        "seconds": seconds,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        (count,) = cursor.fetchone()
    return bool(count <= limit)
