"""The page's files: what is served, under which headers, and to whom."""

import json
import re
from pathlib import Path

import httpx
import pytest
import yaml

from inpaint.settings import AccessArgs
from serve_app.api import create_api
from serve_app.web_files import web_files
from tests.local_service import LocalService

WEB = Path(__file__).parents[2] / "serve_app" / "web"
ONLY_HERE = "default-src 'none'; script-src 'self'; style-src 'self'"


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path)


async def test_every_file_is_served_with_its_type_and_a_strict_policy(service):
    async with service.client() as client:
        for path in web_files():
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-security-policy"].startswith(ONLY_HERE)
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-cache"
        page = await client.get("/")
        module = await client.get("/web/js/main.js")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.content == (WEB / "index.html").read_bytes()
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"


def test_all_that_the_folder_holds_is_served():
    there = {f"/web/{path.relative_to(WEB)}" for path in WEB.rglob("*") if path.is_file()}
    assert set(web_files()) == there - {"/web/index.html"} | {"/"}
    assert len(there) > 30


async def test_an_unchanged_file_is_not_sent_again(service):
    async with service.client() as client:
        first = await client.get("/web/js/main.js")
        known = {"if-none-match": f'"another", W/{first.headers["etag"]}'}
        again = await client.get("/web/js/main.js", headers=known)
        head = await client.head("/web/js/main.js")
        other = await client.get("/web/js/dom.js", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(first.content))
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/web/", "/web/js", "/web/nothing.js", "/web/index.html", "/web/../api.py",
        "/web/js/..%2f..%2f..%2fapi.py", "/web//etc/passwd", "/web/%2e%2e/%2e%2e/pyproject.toml",
    ],
)  # fmt: skip
async def test_nothing_else_can_be_asked_for(service, path):
    async with service.client() as client:
        answer = await client.get(httpx.URL(f"http://service{path}"))
    assert answer.status_code == 404


async def test_the_page_comes_without_a_key_and_the_models_do_not(service, tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text(yaml.safe_dump({"keys": [{"name": "someone", "sha256": "0" * 64}]}))
    app = create_api(service.gateway, access=AccessArgs(auth="required", api_keys=keys))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        got = {path: (await client.get(path)).status_code for path in web_files()}
        refused = await client.get("/models")
        nothing = await client.get("/web/nothing.js")
    assert set(got.values()) == {200}
    assert (refused.status_code, nothing.status_code) == (401, 401)


def test_the_page_has_nothing_inline_and_names_no_other_origin():
    """What the policy would stop, and what would not work offline."""
    page = (WEB / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", page)
    for path in WEB.rglob("*"):
        if path.is_file() and path.suffix != ".svg":
            addresses = set(re.findall(r"https?://[^\s\"')]+", path.read_text()))
            assert addresses <= {"http://www.w3.org/2000/svg"}, path


def test_every_module_is_fetched_at_once_and_not_one_after_the_other():
    page = (WEB / "index.html").read_text()
    preloaded = re.findall(r'rel="modulepreload" href="web/js/([\w.]+)"', page)
    modules = {path.name for path in (WEB / "js").iterdir()} - {"early.js", "main.js"}
    assert sorted(preloaded) == sorted(modules)


def test_both_languages_have_the_same_words_with_the_same_gaps():
    english, chinese = (
        json.loads((WEB / "locales" / f"{name}.json").read_text()) for name in ("en", "zh")
    )
    assert list(english) == list(chinese)
    for key, text in english.items():
        gaps = [sorted(re.findall(r"\{\w+\}", words)) for words in (text, chinese[key])]
        assert gaps[0] == gaps[1], key


def test_the_code_asks_for_no_word_that_is_not_there():
    english = json.loads((WEB / "locales" / "en.json").read_text())
    asked = {
        key
        for path in (WEB / "js").glob("*.js")
        for key in re.findall(r'\bt\("([\w.-]+)"', path.read_text())
    }
    assert len(asked) > 50
    assert asked <= set(english)


def test_every_symbol_that_is_used_is_drawn():
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (WEB / "icons.svg").read_text()))
    used = set(re.findall(r"icons\.svg#([\w-]+)", (WEB / "index.html").read_text()))
    for path in (WEB / "js").glob("*.js"):
        used |= set(re.findall(r'\bicon\("([\w-]+)"\)', path.read_text()))
    assert len(used) > 20
    assert used <= drawn
