"""How a person without JavaScript walks the pages."""

import html
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


def decide(client: Client, url: str, data: dict[str, Any]) -> Any:
    """Post a decision as its pages do, preview then sending; return the last answer."""
    shown = client.post(url, {**data, "etape": "apercu"})
    return client.post(url, {**data, "etape": "envoi"}) if shown.status_code == 200 else shown


def said(text: str) -> str:
    """Return the text of a page without its markup, blanks collapsed."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).replace("\u00a0", " ").replace("\u202f", " ").split())


def form_of(text: str) -> dict[str, list[str]]:
    """Return what the page's form would send as it is: hidden fields, typed fields, checked boxes."""
    main = text[text.index("<main") : text.index("</main")]
    sent: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", main):
        facts = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if facts.get("type") in {"radio", "checkbox"} and not re.search(r"\bchecked\b", tag):
            continue
        if "name" in facts and not re.search(r"\bdisabled\b", tag):
            value = facts.get("value", "on" if facts.get("type") == "checkbox" else "")
            sent.setdefault(facts["name"], []).append(html.unescape(value))
    for select in re.findall(r"<select.*?</select>", main, re.DOTALL):
        name = re.search(r'name="([^"]+)"', select)
        chosen = re.search(r'<option value="([^"]*)"[^>]*selected', select)
        if name and not re.search(r"\bdisabled\b", select[: select.index(">")]):
            sent[name[1]] = [html.unescape(chosen[1]) if chosen else ""]
    for name, more, value in re.findall(r'<textarea name="([^"]+)"([^>]*)>\n?(.*?)</textarea>', main, re.DOTALL):
        if not re.search(r"\bdisabled\b", more):
            sent[name] = [html.unescape(value).strip()]
    sent.pop("csrfmiddlewaretoken", None)
    return sent
