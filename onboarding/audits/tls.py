"""What a server shows in a TLS handshake: its certificate, and which versions it accepts."""

import socket
import ssl
import warnings

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from onboarding.audits.web_facts import Certificate

VERSIONS = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def blind(
    lowest: ssl.TLSVersion | None = None, highest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
) -> ssl.SSLContext:
    """Return a context that believes any certificate, for what must be seen rather than trusted.

    With `lowest`, versions that are no longer safe may be tried too.

    Raises:
        ValueError: our own library cannot speak these versions.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if lowest is None:
        return context
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is what is asked
        try:
            context.minimum_version, context.maximum_version = lowest, highest
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        except ssl.SSLError as error:
            raise ValueError("these versions of TLS are not available") from error
    return context


def accepts(address: str, port: int, host: str, version: ssl.TLSVersion, patience: float) -> bool | None:
    """Try one version of TLS with a server; None when the question could not be put. Takes twice `patience` at most."""
    try:
        context = blind(version, version)
    except ValueError:
        return None
    try:
        with socket.create_connection((address, port), patience) as link:
            link.settimeout(patience)
            with context.wrap_socket(link, server_hostname=host):
                return True
    except ssl.SSLError:
        return False
    except OSError:
        return None


def read(encoded: bytes, problem: str) -> Certificate:
    """Return what a certificate (DER) says; `problem` is what its verification said."""
    try:
        found = x509.load_der_x509_certificate(encoded)
        issuer = found.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME) or list(found.issuer)
        try:
            extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            names = extension.value.get_values_for_type(x509.DNSName)
        except x509.ExtensionNotFound:
            names = []
    except ValueError:
        return Certificate(error=problem or "malformed")
    return Certificate(
        error=problem,
        issuer=str(issuer[0].value)[:200] if issuer else "",
        names=tuple(name[:253] for name in names[:50]),
        not_before=found.not_valid_before_utc.isoformat(),
        not_after=found.not_valid_after_utc.isoformat(),
        fingerprint=found.fingerprint(SHA256()).hex(),
    )
