"""Names of folders, as old servers write them."""

import pytest

from onboarding.provisioning.backends.imap import is_host, quote
from onboarding.provisioning.backends.imap_folders import decoded, folder_of, quoted, target_of


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"INBOX", "INBOX"),
        (b"Envoy&AOk-s", "Envoyés"),
        (b"R&-D", "R&D"),
        (b"&ZeVnLIqe-", "日本語"),
        (b"&2D3eAA-", "😀"),
        (b"&AO", "&AO"),
        (b"&AOk", "&AOk"),
        (b"&!!!-", "&!!!-"),
        (b"&2D0-", "&2D0-"),
        (b"caf\xe9", "caf\ufffd"),
        ("Élus".encode(), "Élus"),
    ],
)
def test_modified_utf_7_is_read_and_what_is_not_stays(name: bytes, text: str) -> None:
    assert decoded(name) == text


@pytest.mark.parametrize(
    ("name", "delimiter", "prefix", "target"),
    [
        (b"inbox", b"/", b"", "INBOX"),
        (b"INBOX.Archives.&AMk-tat civil.2019", b".", b"INBOX.", "Archives/État civil/2019"),
        (b"INBOX.Archives", b".", b"", "INBOX/Archives"),
        (b"a/b", b".", b"", "a-b"),
        (b"a.b", b"/", b"", "a.b"),
        (b"..", b"/", b"", "Sans nom"),
        (b"../../etc/passwd", b"/", b"", "etc/passwd"),
        (b"a\x01b", b"/", b"", "a-b"),
        (b"Seul", b"", b"", "Seul"),
        (b"/".join([b"x" * 200] * 20), b"/", b"", "/".join(["x" * 80] * 8)[:255]),
    ],
)
def test_a_folder_has_a_name_that_any_mailbox_takes(name: bytes, delimiter: bytes, prefix: bytes, target: str) -> None:
    assert target_of(name, delimiter, prefix) == target


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (rb'(\HasNoChildren) "/" "Devis \"2019\""', (b'Devis "2019"', 'Devis "2019"')),
        (rb'(\HasNoChildren) "/" Bare', (b"Bare", "Bare")),
        (rb"() NIL Plat", (b"Plat", "Plat")),
        ((rb'(\HasNoChildren) "/" {7}', b'Dev "is'), (b'Dev "is', 'Dev "is')),
        (rb'(\HasNoChildren \Sent) "." "Elements envoyes"', (b"Elements envoyes", "Sent")),
        (rb'(\Noselect) "/" "Racine"', None),
        (rb'(\All \HasNoChildren) "/" "[Gmail]/Tous les messages"', None),
        ((rb'() "/" {4}', b"a\r\nb"), None),
        (b"garbage", None),
        (None, None),
    ],
)
def test_a_line_of_list_is_read_whatever_its_form(line: object, found: tuple[bytes, str] | None) -> None:
    folder = folder_of(line, b"")
    assert (folder and (folder.source, folder.target)) == found


def test_what_is_quoted_is_one_word_and_never_a_command() -> None:
    assert quoted(rb'a"b\c') == rb'"a\"b\\c"'
    assert quote('a"b\\c') == 'a\\"b\\\\c'
    for bad in ("a\r\nb", "é"):
        with pytest.raises(UnicodeEncodeError):
            quote(bad)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "::1", "a..fr", "-a.fr", "imap.fr:993", "é.fr", "a" * 64 + ".fr"]
)
def test_what_names_no_server_of_the_internet(host: str) -> None:
    assert not is_host(host)
