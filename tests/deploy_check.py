"""Run Django's deployment checks in an environment like production's: `python -m tests.deploy_check`."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent


def environment() -> dict[str, str]:
    """Return what a real site sets; nothing of it needs to exist, the checks connect to nothing."""
    return {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}},
        "SECRET_KEY": secrets.token_urlsafe(64),
        "PUBLIC_BASE_URL": "https://suite.example",
        "ALLOWED_HOSTS": "suite.example",
        "DATABASE_URL": "postgres://suite@database.example/suite",
        "REDIS_URL": "rediss://redis.example/0",
        "EMAIL_URL": "smtp+tls://suite@mail.example:587",
        "DEFAULT_FROM_EMAIL": "La Suite territoriale <ne-pas-repondre@suite.example>",
        "OIDC_OP_ISSUER": "https://auth.agentconnect.gouv.fr/api/v2",
        "OIDC_RP_CLIENT_ID": secrets.token_hex(32),
        "OIDC_RP_CLIENT_SECRET": secrets.token_hex(32),
        "MFA_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }


def main() -> int:
    """Return the status of `check --deploy`; a warning fails."""
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
