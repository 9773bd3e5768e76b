"""The contract of the stores, written once. A setting is a subclass with two fixtures: `storage` and `tenant`.

`tenant` does what a holder of a key does, with the key and nothing else. How a store refuses what is over its quota is
its own affair (`refuses_at_once`): some when it is written, some once `enforce` has looked.
"""

import uuid
from typing import Protocol

import pytest

from onboarding.provisioning.backends.protocols import Secret, Storage
from onboarding.provisioning.errors import Refused

OURS, THEIRS = "organization:ours", "organization:theirs"
MB = 1_000_000


class Denied(Exception):
    """The key does not open this."""


class Full(Exception):
    """The store says that there is no room."""


class Tenant(Protocol):
    """The holder of a key. Each raises `Denied`, or `Full` for a write."""

    def put(self, key: Secret, space: str, name: str, body: bytes) -> None:
        """Write an object."""

    def get(self, key: Secret, space: str, name: str) -> bytes | None:
        """Read an object; None when there is none."""

    def delete(self, key: Secret, space: str, name: str) -> None:
        """Delete an object."""


class StorageContract:
    """What every store keeps."""

    refuses_at_once = True

    @pytest.fixture
    def space(self) -> str:
        """Return a name that no test before has used: a real store is shared by all of them."""
        return f"org-{uuid.uuid4()}"

    def ready(self, storage: Storage, space: str, *, quota: int = MB) -> Secret:
        """Make the space, and return its key."""
        storage.ensure_space(space, owner=OURS)
        storage.ensure_quota(space, quota)
        storage.ensure_key(space)
        return storage.reissue_key(space)

    def test_has_a_space_once_for_one_owner(self, storage: Storage, space: str) -> None:
        for _ in range(2):
            storage.ensure_space(space, owner=OURS)
        with pytest.raises(Refused) as refused:
            storage.ensure_space(space, owner=THEIRS)
        assert refused.value.code == "conflict"
        assert [each.owner for each in storage.spaces() if each.name == space] == [OURS]

    def test_keeps_one_key_and_follows_the_quota(self, storage: Storage, space: str) -> None:
        storage.ensure_space(space, owner=OURS)
        assert storage.space(space).quota is None
        assert storage.space(space).access_key is None
        storage.ensure_quota(space, 5 * MB)
        storage.ensure_key(space)
        first = storage.space(space)
        assert first.access_key
        storage.ensure_key(space)
        storage.ensure_quota(space, 7 * MB)
        assert storage.space(space).access_key == first.access_key
        assert (first.quota, storage.space(space).quota) == (5 * MB, 7 * MB)

    def test_the_check_leaves_nothing(self, storage: Storage, space: str) -> None:
        self.ready(storage, space)
        storage.check_storage(space)
        assert storage.space(space).used == 0
        assert list(storage.export_objects(space)) == []

    def test_a_key_opens_its_own_space_and_no_other(self, storage: Storage, tenant: Tenant, space: str) -> None:
        key, other = self.ready(storage, space), f"org-{uuid.uuid4()}"
        other_key = self.ready(storage, other)
        tenant.put(other_key, other, "secret.txt", b"not for you")
        tenant.put(key, space, "mine.txt", b"mine")
        assert tenant.get(key, space, "mine.txt") == b"mine"
        with pytest.raises(Denied):
            tenant.get(key, other, "secret.txt")
        with pytest.raises(Denied):
            tenant.put(key, other, "theirs.txt", b"x")
        with pytest.raises(Denied):
            tenant.delete(key, other, "secret.txt")
        assert tenant.get(other_key, other, "secret.txt") == b"not for you"

    def test_a_key_issued_again_ends_the_one_before(self, storage: Storage, tenant: Tenant, space: str) -> None:
        former = self.ready(storage, space)
        fresh = storage.reissue_key(space)
        with pytest.raises(Denied):
            tenant.put(former, space, "a", b"1")
        with pytest.raises(Denied):
            tenant.put(Secret(fresh.access_key, "faux"), space, "a", b"1")
        tenant.put(fresh, space, "a", b"1")
        assert storage.space(space).access_key == fresh.access_key

    def test_what_is_over_the_quota_is_refused_and_deleting_still_works(
        self, storage: Storage, tenant: Tenant, space: str
    ) -> None:
        key = self.ready(storage, space, quota=MB)
        tenant.put(key, space, "a", b"a" * (MB - 1000))
        assert storage.enforce(space).used == MB - 1000
        if self.refuses_at_once:
            with pytest.raises(Full):
                tenant.put(key, space, "b", b"b" * 2000)
        else:
            tenant.put(key, space, "b", b"b" * 2000)
            assert storage.enforce(space).used == MB + 1000
            with pytest.raises(Full):
                tenant.put(key, space, "c", b"c")
            assert tenant.get(key, space, "a") is not None
        tenant.delete(key, space, "a")
        assert storage.enforce(space).used <= 2000
        tenant.put(key, space, "c", b"c")
        assert tenant.get(key, space, "c") == b"c"

    def test_a_quota_lowered_under_the_use_locks_and_a_raised_one_unlocks(
        self, storage: Storage, tenant: Tenant, space: str
    ) -> None:
        key = self.ready(storage, space, quota=MB)
        tenant.put(key, space, "a", b"a" * 500_000)
        storage.ensure_quota(space, MB // 10)
        assert storage.enforce(space).used == 500_000
        with pytest.raises(Full):
            tenant.put(key, space, "b", b"b" * 1000)
        assert tenant.get(key, space, "a") == b"a" * 500_000
        storage.ensure_quota(space, MB)
        storage.enforce(space)
        tenant.put(key, space, "b", b"b" * 1000)

    def test_exports_all_that_it_holds(self, storage: Storage, tenant: Tenant, space: str) -> None:
        key = self.ready(storage, space)
        held = {"a.txt": b"un", "dossier/été & co.txt": b"deux" * 1000, "vide": b""}
        for name, body in held.items():
            tenant.put(key, space, name, body)
        assert {name: b"".join(pieces) for name, pieces in storage.export_objects(space)} == held

    def test_without_a_key_nobody_enters(self, storage: Storage, tenant: Tenant, space: str) -> None:
        key = self.ready(storage, space)
        tenant.put(key, space, "a", b"1")
        for _ in range(2):
            storage.ensure_no_key(space)
        assert storage.space(space).access_key is None
        with pytest.raises(Denied):
            tenant.get(key, space, "a")
        assert storage.space(space).used == 1

    def test_deletes_what_is_ours_with_all_it_holds(self, storage: Storage, tenant: Tenant, space: str) -> None:
        key = self.ready(storage, space)
        tenant.put(key, space, "a/b", b"1")
        with pytest.raises(Refused) as refused:
            storage.ensure_no_space(space, owner=THEIRS)
        assert refused.value.code == "conflict"
        assert tenant.get(key, space, "a/b") == b"1"
        for _ in range(2):
            storage.ensure_no_space(space, owner=OURS)
        assert space not in {each.name for each in storage.spaces()}
        with pytest.raises(Denied):
            tenant.put(key, space, "a", b"1")

    def test_a_space_made_again_starts_empty(self, storage: Storage, tenant: Tenant, space: str) -> None:
        key = self.ready(storage, space)
        tenant.put(key, space, "a", b"1")
        storage.ensure_no_space(space, owner=OURS)
        fresh = self.ready(storage, space)
        assert storage.space(space).used == 0
        assert tenant.get(fresh, space, "a") is None

    def test_refuses_a_space_it_does_not_hold(self, storage: Storage, space: str) -> None:
        for ask in (
            lambda: storage.space(space),
            lambda: storage.ensure_quota(space, MB),
            lambda: storage.ensure_key(space),
            lambda: storage.enforce(space),
            lambda: storage.check_storage(space),
            lambda: list(storage.export_objects(space)),
        ):
            with pytest.raises(Refused) as refused:
                ask()
            assert refused.value.code == "unknown_space"
