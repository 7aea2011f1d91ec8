"""`make audit`, against an advisory service of this machine."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tools import audit

pytest.importorskip("pip_audit", reason="pip-audit comes with the extra 'dev'")

FLAW = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "it leaks",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.3"}]}],
        }
    ],
}


@contextmanager
def advisories(answer):
    """The address of a service that answers with `answer(package, version)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = answer(asked["package"]["name"], asked["version"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def flawed(package, version):
    is_flawed = (package, version) == ("leaky", "1.2")
    return json.dumps({"vulns": [FLAW]} if is_flawed else {}).encode()


@pytest.fixture
def audited(tmp_path, capsys):
    """Exit code and words of an audit of two packages."""

    def run(service, *accepted):
        (tmp_path / "constraints.txt").write_text("leaky==1.2\nsound==2.0\n")
        (tmp_path / "accepted.yaml").write_text(json.dumps({"accepted": accepted}))
        files = [f"--{name}={tmp_path / file}" for name, file in
                 (("constraints", "constraints.txt"), ("accepted", "accepted.yaml"))]  # fmt: skip
        return audit.main([f"--service={service}", *files]), capsys.readouterr().out

    return run


def test_a_vulnerability_that_nobody_accepted_fails_and_is_told_with_its_remedy(audited):
    with advisories(flawed) as service:
        code, told = audited(service)
    assert code == audit.FOUND
    assert "leaky 1.2: PYSEC-2026-1, CVE-2026-1, mended in 1.3" in told
    assert "sound" not in told


def test_one_that_is_accepted_with_a_reason_passes_by_any_of_its_names(audited):
    with advisories(flawed) as service:
        code, told = audited(service, {"id": "CVE-2026-1", "reason": "nothing here leaks"})
    assert code == audit.CLEAN
    assert "1 accepted" in told


def test_none_is_told_as_none(audited):
    with advisories(lambda *_: b"{}") as service:
        assert audited(service) == (audit.CLEAN, "audit: none known.\n")


@pytest.mark.parametrize("entry", [{"id": "CVE-2026-1"}, {"id": "CVE-2026-1", "reason": " "}])
def test_an_entry_without_a_reason_is_no_entry(audited, entry):
    with pytest.raises(ValueError, match="reason"):
        audited("http://127.0.0.1:9/", entry)


def test_without_a_service_the_audit_says_so_in_one_line_and_passes(audited):
    code, told = audited("http://127.0.0.1:9/v1/query")
    assert code == audit.CLEAN
    assert told.count("\n") == 1
    assert "no advisory service was reached" in told


def test_a_page_that_is_no_service_is_none(audited):
    with advisories(lambda *_: b"<html>sign in</html>") as service:
        code, told = audited(service)
    assert code == audit.CLEAN
    assert "no advisory service was reached" in told


def test_a_service_that_breaks_off_fails_the_audit(audited):
    with advisories(lambda package, _: b"{}" if package == "pip" else b"<html>") as service:
        code, told = audited(service)
    assert code == audit.UNFINISHED
    assert "pip-audit failed" in told


def test_a_service_that_takes_too_long_is_told(audited, monkeypatch):
    monkeypatch.setattr(audit, "AUDIT_S", 0.01)
    with advisories(flawed) as service:
        code, told = audited(service)
    assert code == audit.CLEAN
    assert "took longer than" in told


def test_the_shipped_files_are_in_order(capsys):
    assert audit.main(["--service=http://127.0.0.1:9/"]) == audit.CLEAN
