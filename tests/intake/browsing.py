"""How a person without JavaScript walks the pages."""

import re
from typing import Any

from django.test import Client

from suite.accounts.models import User
from tests.accounts.elevation import elevate


def sign_in(user: User) -> Client:
    """Return the browser of somebody signed in, with a second factor."""
    client = Client()
    client.force_login(user, backend="suite.accounts.oidc.ProConnectBackend")
    elevate(client)
    return client


def page(client: Client, url: str, status: int = 200) -> str:
    """Return the text of a page, checked for its status."""
    response = client.get(url)
    assert response.status_code == status, response.content.decode()[:2000]
    return response.content.decode()


def version(client: Client, url: str) -> str:
    """Return the version that a page's form carries."""
    found = re.search(r'name="version"\s+value="(\d+)"', page(client, url))
    assert found, url
    return found[1]


def follow(client: Client, url: str, **data: Any) -> str:
    """Post a form as its page shows it, and return where it leads."""
    response = client.post(url, {"version": version(client, url), **data})
    assert response.status_code == 302, response.content.decode()[:3000]
    return response["Location"]


def said(html: str) -> str:
    """Return the text of a page without its markup, blanks collapsed."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).replace("\u00a0", " ").replace("\u202f", " ").split())
