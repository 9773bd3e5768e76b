"""The local store under the contract of the stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from onboarding.provisioning.backends.local import LocalStorage
from onboarding.provisioning.backends.protocols import Secret, Storage
from onboarding.provisioning.errors import Refused
from tests.provisioning.contracts.storage import MB, OURS, Denied, Full, StorageContract, Tenant


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise {"denied": Denied, "quota": Full}[refused.code] from refused


class LocalTenant:
    """The holder of a key of the local world."""

    def put(self, key: Secret, space: str, name: str, body: bytes) -> None:
        with _told():
            LocalStorage().put(key, space, name, body)

    def get(self, key: Secret, space: str, name: str) -> bytes | None:
        with _told():
            return LocalStorage().get(key, space, name)

    def delete(self, key: Secret, space: str, name: str) -> None:
        with _told():
            LocalStorage().delete(key, space, name)


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return LocalStorage()

    @pytest.fixture
    def tenant(self) -> Tenant:
        return LocalTenant()

    def test_the_quota_holds_to_the_byte(self, storage: Storage, tenant: Tenant, space: str) -> None:
        key = self.ready(storage, space, quota=10)
        tenant.put(key, space, "a", b"12345")
        tenant.put(key, space, "b", b"12345")
        with pytest.raises(Full):
            tenant.put(key, space, "c", b"1")
        tenant.put(key, space, "a", b"54321")
        assert storage.space(space).used == 10

    def test_no_secret_is_in_the_file(self, storage: Storage, space: str) -> None:
        key = self.ready(storage, space)
        assert key.secret.encode() not in Path(settings.LOCAL_WORLD).read_bytes()

    def test_all_that_was_made_bears_its_mark(self, storage: Storage, space: str) -> None:
        assert list(storage.spaces()) == []
        self.ready(storage, space, quota=MB)
        assert [(each.name, each.owner) for each in storage.spaces()] == [(space, OURS)]
