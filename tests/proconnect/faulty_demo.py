"""The demonstration's provider behind a layer that spoils its answers on order, for the tests only.

It obeys the orders of `peer/faults.mjs`, which describes them, so that a row is written once for every provider.
`gunicorn tests.proconnect.faulty_demo` in place of `suite.demo.proconnect.wsgi`.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urljoin

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from suite.demo.proconnect import settings
from suite.demo.proconnect.wsgi import application as provider

Environ = dict[str, Any]
Start = Callable[..., Any]


class Faults:
    """A WSGI layer: decodes what the provider made, alters one thing, signs again."""

    def __init__(self) -> None:
        key = serialization.load_pem_private_key(settings.IDP_OIDC_PRIVATE_KEY.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self.key = key
        self.second = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.orders: dict[str, Any] = {}
        self.seen: list[dict[str, Any]] = []

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path.startswith("/control"):
            return self._control(environ, start_response)
        endpoint = path.removeprefix("/api/v2/")
        if endpoint not in {"token", "userinfo", "jwks"}:
            return provider(environ, start_response)
        self.seen.append({"endpoint": endpoint, "headers": _headers(environ)})
        order = self.orders.get("http", {}).get(endpoint, {})
        time.sleep(order.get("delay", 0))
        if "status" in order:
            headers = [("Content-Type", order.get("type", "text/plain"))]
            if "location" in order:
                headers.append(("Location", urljoin(settings.BASE_URL, order["location"])))
            status, body = f"{order['status']} Ordered", order.get("body", "").encode()
            if "drip" in order:
                start_response(status, headers)
                return _drops(body, order["drip"])
            return _send(start_response, status, headers, body)
        return self._altered(endpoint, environ, start_response)

    def _altered(self, endpoint: str, environ: Environ, start_response: Start) -> Iterable[bytes]:
        given: dict[str, Any] = {}

        def keep(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
            given.update(status=status, headers=headers)
            return bytes  # nobody writes that way

        answer = provider(environ, keep)
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        headers = {name.lower(): value for name, value in given["headers"]}
        if given["status"].startswith("200"):
            body, headers["content-type"] = getattr(self, f"_{endpoint}")(body, headers["content-type"])
        headers.pop("content-length", None)
        return _send(start_response, given["status"], list(headers.items()), body)

    def _control(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        if environ["PATH_INFO"] != "/control":
            secret = settings.CLIENT_SECRET.encode() in body
            self.seen.append({"endpoint": "elsewhere", "headers": _headers(environ), "secret": secret})
        elif environ["REQUEST_METHOD"] == "POST":
            self.orders = json.loads(body)
        elif environ["REQUEST_METHOD"] == "DELETE":
            self.orders, self.seen = {}, []
        answer = json.dumps(self.seen).encode()
        return _send(start_response, "200 OK", [("Content-Type", "application/json")], answer)

    def _token(self, body: bytes, kind: str) -> tuple[bytes, str]:
        answer, order = json.loads(body), self.orders.get("id_token", {})
        if order.get("absent"):
            del answer["id_token"]
        else:
            answer["id_token"] = self._rewrite(answer["id_token"], order)
        return json.dumps(answer).encode(), kind

    def _userinfo(self, body: bytes, _: str) -> tuple[bytes, str]:
        order = self.orders.get("userinfo", {})
        token = self._rewrite(body.decode(), order)
        if order.get("json"):
            return json.dumps(_decode(token.split(".")[1])).encode(), "application/json"
        return token.encode(), "application/jwt"

    def _jwks(self, body: bytes, kind: str) -> tuple[bytes, str]:
        keys, order = json.loads(body)["keys"], self.orders.get("jwks", {})
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.second.public_key(), as_dict=True)
        second = {**public, "kid": "second", "use": "sig", "alg": "RS256"}
        if order.get("rotate") or order.get("add"):
            keys = [second] if order.get("rotate") else [*keys, second]
        if order.get("drop_kid"):
            keys = [{name: value for name, value in key.items() if name != "kid"} for key in keys]
        return json.dumps({"keys": keys}).encode(), kind

    def _rewrite(self, token: str, order: dict[str, Any]) -> str:
        if "raw" in order:
            return str(order["raw"])
        head, payload = (_decode(part) for part in token.split(".")[:2])
        now = int(time.time())
        header = head | order.get("header", {})
        claims = payload | order.get("set", {})
        claims |= {name: now + seconds for name, seconds in order.get("now", {}).items()}
        claims = {name: value for name, value in claims.items() if name not in order.get("drop", [])}
        how = order.get("sign", "second" if self.orders.get("jwks", {}).get("rotate") else "good")
        if how == "second":
            header["kid"] = "second"
        header["alg"] = "HS256" if how.startswith("hs256") else "none" if how == "none" else header["alg"]
        header = {name: value for name, value in header.items() if value is not None}
        body = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        return f"{body}.{self._signature(how, body.encode())}"

    def _signature(self, how: str, body: bytes) -> str:
        def signed(key: rsa.RSAPrivateKey) -> str:
            return _encode(key.sign(body, padding.PKCS1v15(), hashes.SHA256()))

        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        secrets = {"hs256-public": public, "hs256-secret": settings.CLIENT_SECRET.encode()}
        if how in secrets:
            return _encode(hmac.new(secrets[how], body, hashlib.sha256).digest())
        if how == "none":
            return ""
        if how in {"second", "foreign"}:
            return signed(self.second)
        good = signed(self.key)
        # Not the last character: some of its bits are padding.
        return f"{'B' if good[0] == 'A' else 'A'}{good[1:]}" if how == "damaged" else good


def _headers(environ: Environ) -> dict[str, str]:
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }


def _send(start_response: Start, status: str, headers: list[tuple[str, str]], body: bytes) -> Iterable[bytes]:
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def _drops(body: bytes, seconds: float) -> Iterator[bytes]:
    for drop in body:
        yield bytes([drop])
        time.sleep(seconds)


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decode(part: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value


application = Faults()
