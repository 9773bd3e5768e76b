"""A browser's worth of cookies, links and forms, without the window: what `demo --check` walks the site with."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx


class Lost(Exception):
    """The page is not the one expected; the message quotes its first lines."""


@dataclass
class Form:
    """A form as the page gives it: where it goes, what it holds, its submit buttons by their text."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Collects the forms, the readable text and the data attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.data: dict[str, list[str]] = {}
        self.text: list[str] = []
        self._form: Form | None = None
        self._select: str | None = None
        self._area: str | None = None
        self._button: tuple[str, str] | None = None
        self._said = ""
        self._mute = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name, value in given.items():
            if name.startswith("data-"):
                self.data.setdefault(name, []).append(value)
        if tag in {"script", "style", "head"}:
            self._mute += 1
        elif tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and "disabled" not in given:
            self._control(tag, given)

    def _control(self, tag: str, given: dict[str, str]) -> None:
        assert self._form is not None  # noqa: S101 - the caller's test
        name, kind = given.get("name", ""), given.get("type", "text" if tag == "input" else "submit")
        if tag == "input" and name and kind not in {"submit", "button", "image", "file"}:
            if kind not in {"checkbox", "radio"}:
                self._form.fields.setdefault(name, []).append(given.get("value", ""))
            elif "checked" in given:
                self._form.fields.setdefault(name, []).append(given.get("value", "on"))
        elif tag == "textarea":
            self._area, self._said = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self._form.fields.setdefault(self._select, []).append(given.get("value", ""))
        elif tag == "button" and kind == "submit":
            self._button, self._said = (name, given.get("value", "")), ""

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style", "head"}:
            self._mute -= 1
        elif tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif self._form is not None and tag == "textarea" and self._area is not None:
            self._form.fields.setdefault(self._area, []).append(self._said.removeprefix("\n"))
            self._area = None
        elif self._form is not None and tag == "button" and self._button is not None:
            self._form.buttons[" ".join(self._said.split())] = self._button
            self._button = None

    def handle_data(self, data: str) -> None:
        self._said += data
        if not self._mute and data.strip():
            self.text.append(" ".join(data.split()))


class Browser:
    """One person at one screen."""

    def __init__(self, base: str) -> None:
        self.client = httpx.Client(base_url=base, follow_redirects=True, timeout=20, trust_env=False)
        self.response: httpx.Response
        self.page = _Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def path(self) -> str:
        """The path of the page shown."""
        return urlsplit(str(self.response.url)).path

    def open(self, url: str) -> Self:
        """Follow a link; raises Lost when the answer is an error."""
        return self._show(self.client.get(url))

    def submit(self, button: str, /, **values: str | list[str]) -> Self:
        """Fill the form that has this submit button and press it; fields left out keep what the page gives them.

        A name not in the form is added, as a person would tick a box. Raises Lost when there is no such button, or
        when the answer is an error.
        """
        for form in self.page.forms:
            if button in form.buttons:
                break
        else:
            raise Lost(f"No button « {button} » on {self.path}. {self.excerpt()}")
        data: dict[str, list[str]] = dict(form.fields)
        name, value = form.buttons[button]
        if name:
            data[name] = [value]
        for key, given in values.items():
            data[key] = given if isinstance(given, list) else [given]
        target = urljoin(str(self.response.url), form.action)
        if form.method == "post":
            return self._show(self.client.post(target, data=data, headers={"Referer": str(self.response.url)}))
        return self._show(self.client.get(target, params=data))

    def buttons(self) -> list[str]:
        """Return the texts of all submit buttons of the page."""
        return [text for form in self.page.forms for text in form.buttons]

    def data(self, name: str) -> list[str]:
        """Return the values of a `data-…` attribute on the page, in order."""
        return self.page.data.get(f"data-{name}", [])

    def excerpt(self, lines: int = 12) -> str:
        """Return the first lines of what the page's main part says."""
        text = self.page.text
        return f"{self.response.status_code} {self.response.url}: " + " / ".join(text[-60:][:lines])

    def _show(self, response: httpx.Response) -> Self:
        self.response = response
        self.page = _Reader()
        if "html" in response.headers.get("content-type", ""):
            self.page.feed(response.text)
        if response.is_error:
            raise Lost(self.excerpt())
        return self
