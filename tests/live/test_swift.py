"""The contract of the stores on a real Swift of one disk, and what its tenants may not do."""

import hmac
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from pytest_django import Settings

from onboarding.provisioning.backends.protocols import Secret, Storage
from onboarding.provisioning.backends.swift import SwiftStorage
from onboarding.provisioning.errors import Refused, Unavailable
from tests.live.stores import free_ports, listens, program, running
from tests.provisioning.contracts.storage import MB, OURS, Denied, Full, StorageContract, Tenant

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("swift")]

ADMIN = ("suite:admin", "suite-admin-secret")

DEFAULT = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
user = {user}
workers = 0
log_level = WARNING
"""
STORE = """devices = {folder}/devices
mount_check = false
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = """[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats tempurl tempauth copy container-quotas slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
recheck_account_existence = 1
recheck_container_existence = 1
[filter:tempauth]
use = egg:swift#tempauth
user_suite_admin = suite-admin-secret .admin
storage_url_scheme = http
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:tempurl]
use = egg:swift#tempurl
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run four daemons and a memcached on loopback, with rings of one device; yield where to sign in."""
    ring, memcached = program("swift-ring-builder", "swift"), program("memcached", "memcached")
    daemons = {kind: program(f"swift-{kind}-server", f"swift-{kind}") for kind in ("account", "container", "object")}
    proxy = program("swift-proxy-server", "swift-proxy")
    folder = tmp_path_factory.mktemp("swift")
    (folder / "devices" / "disk").mkdir(parents=True)
    user = pwd.getpwuid(os.geteuid()).pw_name
    ports = dict(zip(["account", "container", "object", "proxy", "memcached"], free_ports(5), strict=True))
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    for kind in daemons:
        builder = str(folder / f"{kind}.builder")
        device = f"r1z1-127.0.0.1:{ports[kind]}/disk"
        for command in (["create", "4", "1", "0"], ["add", device, "1"], ["rebalance"]):
            subprocess.run([ring, builder, *command], check=True, capture_output=True)
        text = DEFAULT.format(port=ports[kind], folder=folder, user=user) + STORE.format(folder=folder, kind=kind)
        (folder / f"{kind}.conf").write_text(text)
    text = DEFAULT.format(port=ports["proxy"], folder=folder, user=user) + PROXY.format(memcached=ports["memcached"])
    (folder / "proxy.conf").write_text(text)
    with ExitStack() as stack:
        cache = [memcached, "-l", "127.0.0.1", "-p", str(ports["memcached"]), "-U", "0", "-u", user]
        stack.enter_context(running(cache, folder / "memcached.log", lambda: listens(ports["memcached"])))
        for kind, path in (*daemons.items(), ("proxy", proxy)):
            command = [path, str(folder / f"{kind}.conf"), "-v"]
            stack.enter_context(running(command, folder / f"{kind}.log", partial(listens, ports[kind])))
        yield f"http://127.0.0.1:{ports['proxy']}/auth/v1.0"


class SwiftTenant:
    """The holder of a temporary-URL key: signs each address, and has no other way in."""

    def __init__(self, url: str) -> None:
        self.root = url.removesuffix("/auth/v1.0")

    def ask(
        self, method: str, key: Secret, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        until = int(time.time()) + 60
        signature = hmac.digest(key.secret.encode(), f"{method}\n{until}\n{path}".encode(), "sha256").hex()
        return httpx.request(
            method,
            f"{self.root}{quote(path)}",
            params={"temp_url_sig": signature, "temp_url_expires": str(until)},
            content=body,
            headers=headers,
        )

    def put(self, key: Secret, space: str, name: str, body: bytes) -> None:
        self._told(self.ask("PUT", key, f"/v1/AUTH_suite/{space}/{name}", body=body))

    def get(self, key: Secret, space: str, name: str) -> bytes | None:
        answer = self.ask("GET", key, f"/v1/AUTH_suite/{space}/{name}")
        if answer.status_code == 404:
            return None
        self._told(answer)
        return answer.content

    def delete(self, key: Secret, space: str, name: str) -> None:
        self._told(self.ask("DELETE", key, f"/v1/AUTH_suite/{space}/{name}"))

    @staticmethod
    def _told(answer: httpx.Response) -> None:
        if answer.status_code == 413:
            raise Full
        if answer.status_code in {401, 403, 404}:
            raise Denied
        answer.raise_for_status()


class TestSwiftStorage(StorageContract):
    @pytest.fixture
    def storage(self, url: str, settings: Settings) -> Storage:
        settings.STORAGE_URL = url
        settings.STORAGE_ACCESS_KEY, settings.STORAGE_SECRET_KEY = ADMIN
        return SwiftStorage()

    @pytest.fixture
    def tenant(self, url: str) -> SwiftTenant:
        return SwiftTenant(url)

    def test_a_tenant_cannot_raise_its_quota_nor_list_nor_copy_from_another(
        self, storage: Storage, tenant: SwiftTenant, space: str
    ) -> None:
        key, other = self.ready(storage, space), f"{space}-other"
        other_key = self.ready(storage, other)
        tenant.put(other_key, other, "secret", b"not for you")
        root = f"/v1/AUTH_suite/{space}"
        attempts = [
            tenant.ask("POST", key, root, headers={"X-Container-Meta-Quota-Bytes": "999999999999"}),
            tenant.ask("POST", key, "/v1/AUTH_suite", headers={"X-Account-Meta-Quota-Bytes": "999999999999"}),
            tenant.ask("PUT", key, root, headers={"X-Container-Meta-Quota-Bytes": "999999999999"}),
            tenant.ask("DELETE", key, root),
            tenant.ask("GET", key, root),
            tenant.ask("PUT", key, f"{root}/copied", headers={"X-Copy-From": f"/{other}/secret"}),
            tenant.ask("PUT", key, f"{root}/linked", headers={"X-Object-Manifest": f"{other}/secret"}),
        ]
        assert [answer.status_code in {400, 401, 403} for answer in attempts] == [True] * len(attempts)
        assert storage.space(space).quota == MB
        assert tenant.get(key, space, "copied") is None

    def test_an_unmarked_container_is_never_taken_over(self, storage: SwiftStorage, space: str) -> None:
        storage._call("PUT", space)  # noqa: SLF001 - as somebody else of the account would
        with pytest.raises(Refused) as refused:
            storage.ensure_space(space, owner=OURS)
        assert refused.value.code == "conflict"
        assert [each.owner for each in storage.spaces() if each.name == space] == [None]

    def test_a_check_of_a_full_space_says_so(self, storage: Storage, tenant: Tenant, space: str) -> None:
        key = self.ready(storage, space)
        tenant.put(key, space, "a", b"a" * MB)
        with pytest.raises(Refused) as refused:
            storage.check_storage(space)
        assert refused.value.code == "over_quota"

    def test_a_token_that_has_ended_is_asked_again(self, storage: SwiftStorage, space: str) -> None:
        storage.ensure_space(space, owner=OURS)
        root, _ = storage._entered()  # noqa: SLF001 - a day later, in effect
        storage._session = (root, "AUTH_tk-ended")  # noqa: SLF001 - the same
        assert storage.space(space).used == 0

    def test_administrator_keys_that_open_nothing_are_unavailable(
        self, storage: Storage, settings: Settings, space: str
    ) -> None:
        settings.STORAGE_SECRET_KEY = "wrong-secret"
        with pytest.raises(Unavailable) as refused:
            SwiftStorage().space(space)
        assert refused.value.code == "denied"


def test_a_store_that_is_down_is_unavailable(settings: Settings, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"http://127.0.0.1:{free_ports(1)[0]}/auth/v1.0"
    settings.STORAGE_ACCESS_KEY, settings.STORAGE_SECRET_KEY = ADMIN
    with pytest.raises(Unavailable) as refused:
        SwiftStorage().space("org-1")
    assert refused.value.code == "unreachable"
