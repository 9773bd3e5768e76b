# ruff: noqa: INP001 - a script beside what it renders, not a part of a package
"""Write the configurations of this folder for one machine: `python render.py DESTINATION`, with the variables below.

POSTFIX_DATABASE_URL    postgresql://user:password@host:port/database, as the product has it
POSTFIX_IMAP_URL        imap://suite:password@host:port, idem: its user and password are the master user's
MAIL_HOSTNAME           the name in the MX records; CERT and KEY: PEM files for that name
MAIL_STATE, MAIL_STORE  folders: queues, sockets and logs; mailboxes
MAIL_USER               who owns the mailboxes (vmail)
and, where the usual ones do not do: MAIL_LISTEN, SMTP_PORT, SUBMISSION_PORT, IMAP_PORT, IMAPS_PORT, RELAYHOST,
MASTER_NETS (who may use the master user: the product's workers)
"""

import grp
import hashlib
import os
import pwd
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent
SECRET = re.compile(r"[A-Za-z0-9._~-]*")


def values(env: Mapping[str, str], destination: Path) -> dict[str, str]:
    """Return what each @NAME@ stands for. SystemExit, naming it, for a variable that is missing or unfit."""
    missing = [name for name in ("POSTFIX_DATABASE_URL", "POSTFIX_IMAP_URL", "MAIL_HOSTNAME") if not env.get(name)]
    if missing:
        raise SystemExit(f"Missing: {', '.join(missing)}")
    database, imap = urlsplit(env["POSTFIX_DATABASE_URL"]), urlsplit(env["POSTFIX_IMAP_URL"])
    password, master = unquote(database.password or ""), unquote(imap.password or "")
    if not (SECRET.fullmatch(password) and SECRET.fullmatch(master)):
        raise SystemExit("Use only letters, digits and . _ ~ - in these passwords: four programs quote them otherwise.")
    salt = secrets.token_hex(8)
    derived = hashlib.pbkdf2_hmac("sha1", master.encode(), salt.encode(), 50_000).hex()
    owner = pwd.getpwnam(env.get("MAIL_USER", "vmail"))
    return {
        "CONF": str(destination),
        "STATE": env.get("MAIL_STATE", "/var/lib/suite-mail"),
        "MAIL": env.get("MAIL_STORE", "/var/mail/suite"),
        "HOSTNAME": env["MAIL_HOSTNAME"],
        "CERT": env.get("CERT", "/etc/ssl/suite-mail/cert.pem"),
        "KEY": env.get("KEY", "/etc/ssl/suite-mail/key.pem"),
        "LISTEN": env.get("MAIL_LISTEN", "all"),
        "SMTP_PORT": env.get("SMTP_PORT", "25"),
        "SUBMISSION_PORT": env.get("SUBMISSION_PORT", "587"),
        "IMAP_PORT": env.get("IMAP_PORT", "143"),
        "IMAPS_PORT": env.get("IMAPS_PORT", "993"),
        "RELAYHOST": env.get("RELAYHOST", ""),
        "PG_HOST": database.hostname or "",
        "PG_PORT": str(database.port or 5432),
        "PG_USER": unquote(database.username or ""),
        "PG_PASSWORD": password,
        "PG_DATABASE": database.path.strip("/"),
        "MASTER": unquote(imap.username or ""),
        "MASTER_HASH": f"{{PBKDF2}}$1${salt}$50000${derived}",
        "MASTER_NETS": env.get("MASTER_NETS", "127.0.0.1/32,::1/128"),
        "VMAIL_UID": str(owner.pw_uid),
        "VMAIL_GID": str(owner.pw_gid),
        "VMAIL_GROUP": grp.getgrgid(owner.pw_gid).gr_name,
    }


def render(env: Mapping[str, str], destination: Path) -> None:
    """Write every configuration under `destination`, readable by root and the servers' own groups only."""
    found = values(env, destination)
    for folder in ("postfix", "dovecot", "opendkim"):
        (destination / folder).mkdir(parents=True, exist_ok=True)
        for source in sorted((HERE / folder).iterdir()):
            text = re.sub(r"@([A-Z_]+)@", lambda match: found[match[1]], source.read_text())
            if source.name == "dovecot.conf" and found["LISTEN"] == "all":
                text = text.replace("listen = all", "listen = *, ::")
            target = destination / folder / source.name
            target.write_text(text)
            target.chmod(0o640)
    for folder in ("postfix/spool", "postfix/data", "dovecot", "run"):
        (Path(found["STATE"]) / folder).mkdir(parents=True, exist_ok=True)
    Path(found["MAIL"]).mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        postfix = grp.getgrnam("postfix").gr_gid
        for folder in ("postfix", "dovecot", "opendkim"):
            for each in (destination / folder).iterdir():
                os.chown(each, 0, grp.getgrnam(folder).gr_gid)
        # Postfix insists on main.cf being readable by all; the passwords are in the tables' own files.
        for name in ("main.cf", "master.cf"):
            (destination / "postfix" / name).chmod(0o644)
        os.chown(Path(found["STATE"]) / "postfix/data", pwd.getpwnam("postfix").pw_uid, postfix)
        os.chown(Path(found["STATE"]) / "run", pwd.getpwnam("opendkim").pw_uid, postfix)
        (Path(found["STATE"]) / "run").chmod(0o775)
        os.chown(Path(found["MAIL"]), int(found["VMAIL_UID"]), int(found["VMAIL_GID"]))


if __name__ == "__main__":
    render(os.environ, Path(sys.argv[1]).resolve())
