"""A person with a browser, as far as Flask's test client is one: keeps cookies, sends forms, brings the token of the page."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, Response

from tests.web.fake_node import PASSWORD

_TOKEN = re.compile(r'name="csrf_token" value="([^"]*)"')


class Person:
    """``base``: the origin in the address bar; ``headers``: what this browser sends with everything."""

    def __init__(self, app: Flask, base: str = "http://localhost", **headers: str) -> None:
        self.client = app.test_client()
        self.base = base
        self.headers = headers

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(path, base_url=self.base, headers=self.headers | headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Response:
        """A form, as a browser sends it from our own page."""
        return self.client.post(path, base_url=self.base, data=form, headers={"Origin": self.base} | self.headers | headers)

    def try_password(self, password: str, path: str = "/login") -> Response:
        """Opens the form, fills it in and sends it."""
        return self.post(path, {"csrf_token": form_token(self.get(path)), "password": password})

    def log_in(self, path: str = "/login") -> Response:
        response = self.try_password(PASSWORD, path)
        assert response.status_code == 303, response.text
        return response

    def csrf_token(self) -> str:
        """That of the pages of somebody logged in."""
        return str(re.findall(r'name="csrf-token" content="([^"]*)"', self.get("/a-page").text)[0])

    def send(self, method: str, path: str, document: Any, **headers: str) -> Response:
        """What a script of our page sends over the API."""
        return self.client.open(path, base_url=self.base, method=method, json=document, headers=self.headers | headers)

    def cookies(self) -> dict[str, str]:
        """By name, without what follows it."""
        return {cookie.key.rpartition("_")[0]: cookie.value for cookie in self.client._cookies.values()}


def form_token(page: Response) -> str:
    """The hidden field."""
    return _TOKEN.findall(page.text)[-1]
