"""SeaweedFS, or any S3 store with an IAM API on the same address: one bucket and one IAM user per organization.

The mark and the quota are tags of the bucket, which a tenant may neither read nor write. A tenant's key is allowed its
own bucket's objects and nothing else. The store does not hold a quota by itself: `enforce` compares, and takes the
right to write away from the tenant (it still reads and deletes) or gives it back. How often that is done is
`STORAGE_ENFORCE_SECONDS`: until then a tenant may write over its quota.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from django.conf import settings

from onboarding.provisioning.backends.protocols import Owned, Secret, Space
from onboarding.provisioning.errors import NotYet, Refused, Unavailable

OWNER, QUOTA = "suite-owner", "suite-quota"  # tags of the bucket
POLICY = "space"
PROBE = ".suite-check/"
PIECE = 1 << 20  # bytes
# A task may not last: beyond this, emptying goes on in the next one.
EMPTYING_SECONDS = 10.0
WRITES = frozenset({"s3:PutObject"})
OBJECTS = frozenset({"s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"})
BUCKET = frozenset({"s3:ListBucket", "s3:GetBucketLocation"})

T = TypeVar("T")


class SeaweedStorage:
    """Keeps one bucket per organization."""

    @cached_property
    def _s3(self) -> Any:  # noqa: ANN401 - boto3 makes its clients' methods when it runs
        return _client("s3")

    @cached_property
    def _iam(self) -> Any:  # noqa: ANN401 - the same
        return _client("iam")

    def ensure_space(self, space: str, *, owner: str) -> None:
        """Have the bucket, marked. An unmarked one is ours to mark only while it is empty: we died in between."""
        tags = self._tags(space)
        if tags is None:
            with _spoken():
                _unless({"BucketAlreadyOwnedByYou"}, lambda: self._s3.create_bucket(Bucket=space))
            tags = self._tags(space)
        if tags is None:
            raise Unavailable("not_seen", "L’espace a été demandé, mais ne se voit pas encore.")
        if tags.get(OWNER) == owner:
            return
        if OWNER in tags or self._holds_something(space):
            raise Refused("conflict", f"Un espace {space} existe déjà, fait par quelqu’un d’autre.")
        self._tag(space, {**tags, OWNER: owner})

    def ensure_quota(self, space: str, quota: int) -> None:
        """Write the quota on the bucket."""
        tags = self._known(space)
        if tags.get(QUOTA) != str(quota):
            self._tag(space, {**tags, QUOTA: str(quota)})

    def ensure_key(self, space: str) -> None:
        """Have the user, its rights and one key, each apart."""
        self._known(space)
        with _spoken():
            _unless({"EntityAlreadyExists"}, lambda: self._iam.create_user(UserName=space))
        self.enforce(space)
        if self._keys(space):
            return
        with _spoken():
            self._iam.create_access_key(UserName=space)
        # Two workers may have come together: both keep the same one, whose secret nobody knows.
        self._withdraw(space, self._keys(space)[1:])

    def reissue_key(self, space: str) -> Secret:
        """Make a key, then withdraw all others, those that the tenant made for itself too."""
        self._known(space)
        with _spoken():
            _unless({"EntityAlreadyExists"}, lambda: self._iam.create_user(UserName=space))
        self.enforce(space)
        with _spoken():
            made = self._iam.create_access_key(UserName=space)["AccessKey"]
            issued = Secret(made["AccessKeyId"], made["SecretAccessKey"])
        self._withdraw(space, [key for key in self._keys(space) if key != issued.access_key])
        return issued

    def space(self, space: str) -> Space:
        """Return the space as it is; its use is summed over the objects, unfinished uploads counted."""
        tags = self._known(space)
        keys = self._keys(space)
        return Space(space, _number(tags.get(QUOTA)), self._used(space), keys[0] if keys else None)

    def check_storage(self, space: str) -> None:
        """Write an object, read it back, and leave nothing behind, of an earlier check that died either."""
        self._known(space)
        name, body = f"{PROBE}{secrets.token_hex(8)}", secrets.token_bytes(32)
        with _spoken():
            try:
                self._s3.put_object(Bucket=space, Key=name, Body=body)
            except ClientError as error:
                # The store's own lock, set by its administrator, answers every write with a 500.
                if _status(error) == HTTPStatus.INTERNAL_SERVER_ERROR and self._over(self.space(space)):
                    raise Refused("over_quota", "L’espace est plein : plus rien ne peut y être écrit.") from error
                raise
            read = self._s3.get_object(Bucket=space, Key=name)["Body"].read()
            for left in list(self._objects(space, PROBE)):
                self._s3.delete_object(Bucket=space, Key=left["Key"])
        if read != body:
            raise Unavailable("not_stored", "Le fichier d’essai ne se relit pas.")

    def enforce(self, space: str) -> Space:
        """Give the tenant the right to write while it is under its quota, and take it away when it is not."""
        seen = self.space(space)
        wanted = _policy(space, writes=not self._over(seen))
        with _spoken():
            try:
                present = self._iam.get_user_policy(UserName=space, PolicyName=POLICY)["PolicyDocument"]
            except ClientError as error:
                if _code(error) != "NoSuchEntity":
                    raise
                present = {}
            if _rights(present) != _rights(wanted):
                # No user, no key: nobody to keep out.
                _unless(
                    {"NoSuchEntity"},
                    lambda: self._iam.put_user_policy(
                        UserName=space, PolicyName=POLICY, PolicyDocument=json.dumps(wanted)
                    ),
                )
        return seen

    def ensure_no_key(self, space: str) -> None:
        """Withdraw every key."""
        self._withdraw(space, self._keys(space))

    def ensure_no_space(self, space: str, *, owner: str) -> None:
        """Shut the tenant out, then delete the bucket and all it holds. `NotYet` while there is more to delete."""
        tags = self._tags(space)
        if tags is not None and tags.get(OWNER) != owner:
            raise Refused("conflict", f"L’espace {space} a été fait par quelqu’un d’autre : il reste.")
        self.ensure_no_key(space)
        with _spoken():
            _unless({"NoSuchEntity"}, lambda: self._iam.delete_user(UserName=space))
            if tags is None:
                return
            try:
                self._s3.delete_bucket(Bucket=space)
            except ClientError as error:
                if _code(error) == "NoSuchBucket":
                    return
                if _code(error) != "BucketNotEmpty":
                    raise
                self._empty(space)
                self._s3.delete_bucket(Bucket=space)

    def spaces(self) -> Iterator[Owned]:
        """Yield every bucket: one request for the list, and one for each mark."""
        with _spoken():
            names = [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]
        for name in names:
            tags = self._tags(name)
            if tags is not None:  # deleted meanwhile
                yield Owned(name, tags.get(OWNER))

    def export_objects(self, space: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the objects; each content is fetched when its turn comes."""
        self._known(space)
        with _spoken():
            for each in self._objects(space):
                try:
                    answer = self._s3.get_object(Bucket=space, Key=each["Key"])
                except ClientError as error:
                    if _code(error) == "NoSuchKey":  # deleted by its holder meanwhile
                        continue
                    raise
                yield each["Key"], _pieces(answer["Body"])

    def _tags(self, space: str) -> dict[str, str] | None:
        """Return the tags of a bucket, None when there is no such bucket."""
        with _spoken():
            try:
                answer = self._s3.get_bucket_tagging(Bucket=space)
            except ClientError as error:
                if _code(error) == "NoSuchBucket":
                    return None
                if _code(error) == "NoSuchTagSet":
                    return {}
                raise
            return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def _known(self, space: str) -> dict[str, str]:
        tags = self._tags(space)
        if tags is None:
            raise Refused("unknown_space", f"L’espace {space} n’existe pas.")
        return tags

    def _tag(self, space: str, tags: dict[str, str]) -> None:
        listed = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        with _spoken():
            self._s3.put_bucket_tagging(Bucket=space, Tagging={"TagSet": listed})

    def _keys(self, space: str) -> list[str]:
        """Return the access keys, the oldest first; none when there is no such user."""
        with _spoken():
            try:
                answer = self._iam.list_access_keys(UserName=space)
            except ClientError as error:
                if _code(error) == "NoSuchEntity":
                    return []
                raise
            return [key["AccessKeyId"] for key in answer["AccessKeyMetadata"]]

    def _withdraw(self, space: str, keys: list[str]) -> None:
        for key in keys:
            with _spoken():
                _unless(
                    {"NoSuchEntity"},
                    lambda key=key: self._iam.delete_access_key(UserName=space, AccessKeyId=key),  # type: ignore[misc] # mypy infers no default
                )

    def _used(self, space: str) -> int:
        with _spoken():
            return sum(int(each["Size"]) for each in self._objects(space)) + sum(self._unfinished(space))

    def _objects(self, space: str, prefix: str = "") -> Iterator[dict[str, Any]]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=space, Prefix=prefix):
            yield from page.get("Contents", [])

    def _uploads(self, space: str) -> Iterator[dict[str, Any]]:
        for page in self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=space):
            yield from page.get("Uploads", [])

    def _unfinished(self, space: str) -> Iterator[int]:
        """Yield the sizes of the parts of unfinished uploads: bytes that no listing of objects shows."""
        for upload in self._uploads(space):
            where = {"Bucket": space, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            try:
                for page in self._s3.get_paginator("list_parts").paginate(**where):
                    yield from (int(part["Size"]) for part in page.get("Parts", []))
            except ClientError as error:
                if _code(error) != "NoSuchUpload":  # finished meanwhile
                    raise

    def _holds_something(self, space: str) -> bool:
        with _spoken():
            return next(self._objects(space), None) is not None

    def _empty(self, space: str) -> None:
        until = time.monotonic() + EMPTYING_SECONDS
        for upload in self._uploads(space):
            self._s3.abort_multipart_upload(Bucket=space, Key=upload["Key"], UploadId=upload["UploadId"])
        for each in self._objects(space):
            self._s3.delete_object(Bucket=space, Key=each["Key"])
            if time.monotonic() > until:
                raise NotYet("emptying", "L’espace se vide ; cela continue.", after=timedelta(seconds=5))

    @staticmethod
    def _over(seen: Space) -> bool:
        # At its quota there is room for nothing more.
        return seen.quota is not None and seen.used >= seen.quota


def _client(service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients' methods when it runs
    config = Config(
        connect_timeout=3,
        read_timeout=10,
        retries={"total_max_attempts": 1},  # trying again is the engine's, which says so
        s3={"addressing_style": "path"},
    )
    # A session of our own: the default one is shared by the threads, and reads the machine's files.
    session = boto3.session.Session(
        aws_access_key_id=settings.STORAGE_ACCESS_KEY,
        aws_secret_access_key=settings.STORAGE_SECRET_KEY,
        region_name=settings.STORAGE_REGION,
    )
    return session.client(service, endpoint_url=settings.STORAGE_URL, config=config)


def _policy(space: str, *, writes: bool) -> dict[str, Any]:
    on_objects = OBJECTS | WRITES if writes else OBJECTS
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": sorted(on_objects), "Resource": [f"arn:aws:s3:::{space}/*"]},
            {"Effect": "Allow", "Action": sorted(BUCKET), "Resource": [f"arn:aws:s3:::{space}"]},
        ],
    }


def _rights(policy: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Return what a policy says, however it is laid out: the store gives lists of one back as texts."""
    found = set()
    for statement in _listed(policy.get("Statement", [])):
        for action in _listed(statement.get("Action", [])):
            found |= {(statement.get("Effect"), action, each) for each in _listed(statement.get("Resource", []))}
    return found


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else [value]


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise Refused(
            "out_of_sync", "Le quota écrit sur l’espace n’est pas un nombre : une personne doit voir."
        ) from None


def _pieces(body: Any) -> Iterator[bytes]:  # noqa: ANN401 - botocore's stream
    with _spoken():
        yield from body.iter_chunks(PIECE)


def _unless(codes: set[str], call: Callable[[], T]) -> T | None:
    """Make a call; an answer of one of these codes says that it was done already."""
    try:
        return call()
    except ClientError as error:
        if _code(error) not in codes:
            raise
        return None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def _spoken() -> Iterator[None]:
    """Turn what boto raises into our three outcomes. Nothing of its text is kept: it may name keys."""
    try:
        yield
    except ClientError as error:
        raise _outcome(error) from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise Unavailable("timeout", "Le stockage n’a pas répondu à temps.") from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise Unavailable("unreachable", "Le stockage n’est pas joignable.") from error
    except (BotoCoreError, KeyError, TypeError, ValueError) as error:
        raise Unavailable("garbage", "Le stockage a répondu de façon incompréhensible.") from error


def _outcome(error: ClientError) -> Exception:
    status, code = _status(error), _code(error)
    if code in {"NoSuchBucket", "NoSuchKey"}:
        return Refused("unknown_space", "Cet espace n’existe pas.")
    if code in {"BucketAlreadyExists", "OperationAborted"}:
        return Refused("conflict", "Un espace de ce nom existe déjà, fait par quelqu’un d’autre.")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Unavailable("denied", "Le stockage n’accepte plus nos clés d’administration.")
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return Unavailable("busy", "Le stockage est surchargé.")
    if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable("server_error", "Le stockage a répondu par une erreur.")
    return Refused("invalid", f"Le stockage refuse la demande ({code[:60]}).")
