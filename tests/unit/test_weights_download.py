"""Downloading one file: against a server that cuts, stalls, lies and refuses."""

import errno
import hashlib
import time

import pytest

from deployments.weights import Progress
from deployments.weights.disk import disk_errors
from deployments.weights.download import Patience, Source, download
from deployments.weights.part import part_of
from inpaint.errors import DownloadError
from tests.weights_server import Fault, weights_server

CONTENT = bytes(range(256)) * 400
OTHER = CONTENT[::-1]
HASTE = Patience(connect_s=1, stall_s=0.2, attempts=3, pause_s=0)
ONCE = Patience(connect_s=1, stall_s=0.1, attempts=1, pause_s=0)
PATH = "/models/toy.pt"


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def running():
    with weights_server() as server:
        yield server


@pytest.fixture
def server(running):
    running.clear()
    return running


@pytest.fixture
def target(tmp_path):
    return tmp_path / "checkpoints/toy.pt"


def fetch(server, target, *, checksum=None, told=None, patience=HASTE, path=PATH):
    source = Source(server.url + path, checksum, "its page")
    return download(source, target, (told if told is not None else []).append, patience)


def leave_part(server, target, size, content=CONTENT):
    """What a download leaves that was cut after `size` bytes."""
    server.fail(PATH, *[Fault(cut_after=size)] * HASTE.attempts)
    server.put(PATH, content, has_ranges=False)
    with pytest.raises(DownloadError):
        fetch(server, target)
    server.faults.clear()
    server.asked.clear()
    assert part_of(target).stat().st_size == size


def folder_of(target):
    return sorted(path.name for path in target.parent.iterdir())


def ranges(server):
    return [asked.headers.get("Range") for asked in server.requests_of(PATH)]


def test_file_arrives_whole_and_alone(server, target):
    server.put(PATH, CONTENT)
    assert fetch(server, target, checksum=md5(CONTENT)) == md5(CONTENT)
    assert target.read_bytes() == CONTENT
    assert folder_of(target) == ["toy.pt"]


def test_file_of_unknown_checksum_arrives_and_its_digest_is_told(server, target):
    server.put(PATH, CONTENT)
    assert fetch(server, target) == md5(CONTENT)


def test_empty_file_arrives(server, target):
    server.put(PATH, b"")
    fetch(server, target)
    assert target.read_bytes() == b""


def test_progress_grows_to_the_whole(server, target):
    server.put(PATH, CONTENT)
    told = []
    fetch(server, target, told=told)
    assert told[0] == Progress("toy.pt", 0, len(CONTENT))
    assert told[-1] == Progress("toy.pt", len(CONTENT), len(CONTENT))
    assert [one.done_bytes for one in told] == sorted(one.done_bytes for one in told)


def test_progress_is_without_a_total_where_the_server_states_none(server, target):
    server.put(PATH, CONTENT)
    server.fail(PATH, Fault(headers={"Content-Length": None}))
    told = []
    fetch(server, target, told=told)
    assert told[-1] == Progress("toy.pt", len(CONTENT), None)
    assert target.read_bytes() == CONTENT


def test_wrong_checksum_removes_what_has_arrived(server, target):
    server.put(PATH, OTHER)
    with pytest.raises(DownloadError, match=f"MD5 is {md5(OTHER)} instead of {md5(CONTENT)}"):
        fetch(server, target, checksum=md5(CONTENT))
    assert folder_of(target) == []


def test_cut_connection_is_taken_up_where_it_broke_off(server, target):
    server.put(PATH, CONTENT)
    server.fail(PATH, Fault(cut_after=70_000))
    assert fetch(server, target) == md5(CONTENT)
    assert ranges(server) == [None, "bytes=70000-"]
    assert server.requests_of(PATH)[1].headers["If-Range"] == server.files[PATH].etag


def test_later_download_goes_on_with_the_part(server, target):
    leave_part(server, target, 50_000)
    server.put(PATH, CONTENT)
    told = []
    assert fetch(server, target, checksum=md5(CONTENT), told=told) == md5(CONTENT)
    assert ranges(server) == ["bytes=50000-"]
    assert told[0] == Progress("toy.pt", 50_000, len(CONTENT))
    assert folder_of(target) == ["toy.pt"]


def test_date_tells_that_the_file_is_the_same_where_there_is_no_etag(server, target):
    date = "Tue, 01 Jul 2025 10:00:00 GMT"
    server.put(PATH, CONTENT, etag=None, last_modified=date)
    server.fail(PATH, Fault(cut_after=1000))
    fetch(server, target)
    assert server.requests_of(PATH)[1].headers["If-Range"] == date
    assert target.read_bytes() == CONTENT


def test_weak_etag_is_never_trusted_with_a_range(server, target):
    server.put(PATH, CONTENT, etag='W/"1"')
    server.fail(PATH, Fault(cut_after=1000))
    fetch(server, target)
    assert ranges(server) == [None, None]
    assert target.read_bytes() == CONTENT


def test_server_without_ranges_starts_anew(server, target):
    server.put(PATH, CONTENT, has_ranges=False)
    server.fail(PATH, Fault(cut_after=70_000))
    assert fetch(server, target) == md5(CONTENT)
    assert ranges(server) == [None, "bytes=70000-"]


def test_file_that_has_changed_meanwhile_starts_anew(server, target):
    leave_part(server, target, 50_000)
    server.put(PATH, OTHER)
    assert fetch(server, target) == md5(OTHER)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-102399/102400", "bytes 50000-102399/99", "bytes x-y/z", "50000-102399/102400"],
)
def test_range_that_does_not_fit_starts_anew(server, target, content_range):
    leave_part(server, target, 50_000)
    server.put(PATH, CONTENT)
    server.fail(PATH, Fault(content_range=content_range))
    assert fetch(server, target) == md5(CONTENT)
    assert ranges(server) == ["bytes=50000-", None]


def test_range_of_another_file_starts_anew(server, target):
    leave_part(server, target, 50_000)
    server.put(PATH, CONTENT)
    server.fail(PATH, Fault(headers={"ETag": '"another"'}))
    assert fetch(server, target) == md5(CONTENT)
    assert ranges(server) == ["bytes=50000-", None]


def test_part_that_is_longer_than_the_file_starts_anew(server, target):
    leave_part(server, target, 50_000)
    etag = server.files[PATH].etag
    server.put(PATH, CONTENT[:40_000], etag=etag)
    assert fetch(server, target) == md5(CONTENT[:40_000])


def test_part_of_another_address_is_not_taken_up(server, target):
    leave_part(server, target, 50_000)
    server.put("/mine/toy.pt", OTHER, etag=server.files[PATH].etag)
    assert fetch(server, target, path="/mine/toy.pt") == md5(OTHER)


@pytest.mark.parametrize("notes", [None, b"", b"[]", b"{}", b"\xff"])
def test_part_without_sound_notes_is_not_taken_up(server, target, notes):
    leave_part(server, target, 50_000)
    path = target.with_name("toy.pt.part.json")
    path.unlink() if notes is None else path.write_bytes(notes)
    server.put(PATH, CONTENT)
    assert fetch(server, target) == md5(CONTENT)
    assert ranges(server) == [None]


def test_part_that_is_whole_already_is_not_asked_for_again(server, target):
    leave_part(server, target, 50_000)
    with part_of(target).open("ab") as file:
        file.write(CONTENT[50_000:])
    assert fetch(server, target, checksum=md5(CONTENT)) == md5(CONTENT)
    assert server.asked == []


def test_truncated_bodies_end_after_a_bounded_number_of_attempts(server, target):
    server.put(PATH, CONTENT, etag=None)
    server.fail(PATH, *[Fault(cut_after=10)] * 20)
    with pytest.raises(DownloadError, match=r"broke off \(3 attempts\)"):
        fetch(server, target)
    assert len(server.asked) == HASTE.attempts
    assert not target.exists()


def test_attempts_that_get_on_do_not_count_as_failed(server, target, monkeypatch):
    monkeypatch.setattr("deployments.weights.download.LASTING_BYTES", 10_000)
    server.put(PATH, CONTENT)
    server.fail(PATH, *[Fault(cut_after=12_000)] * 6)
    assert fetch(server, target) == md5(CONTENT)
    assert len(server.asked) == 7


def test_stalled_server_is_left_in_time(server, target):
    server.put(PATH, CONTENT)
    server.fail(PATH, Fault(stall_after=1000))
    began = time.monotonic()
    with pytest.raises(DownloadError, match="did not answer in time"):
        fetch(server, target, patience=ONCE)
    assert time.monotonic() - began < 5
    assert part_of(target).stat().st_size >= 1000


def test_trickling_server_has_stalled(server, target):
    server.put(PATH, CONTENT)
    server.fail(PATH, Fault(trickle_s=0.02))
    with pytest.raises(DownloadError, match="too slow"):
        fetch(server, target, patience=ONCE)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 204, 304])
def test_refusal_is_told_at_once(server, target, status):
    server.put(PATH, CONTENT)
    server.fail(PATH, *[Fault(status=status)] * 3)
    with pytest.raises(DownloadError, match=f"answered {status} ") as caught:
        fetch(server, target)
    assert len(server.asked) == 1
    assert "127.0.0.1" not in caught.value.detail
    assert caught.value.context["url"] == server.url + PATH


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_passing_trouble_is_waited_for(server, target, status):
    server.put(PATH, CONTENT)
    server.fail(PATH, *[Fault(status=status)] * 2)
    assert fetch(server, target) == md5(CONTENT)


def test_body_that_is_compressed_unasked_is_refused(server, target):
    server.put(PATH, CONTENT)
    server.fail(PATH, Fault(headers={"Content-Encoding": "gzip"}))
    with pytest.raises(DownloadError, match="compressed"):
        fetch(server, target)
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_log_holds_no_password(server, target):
    host = server.url.removeprefix("http://")
    source = Source(f"http://me:secret@{host}/none.pt?token=secret#secret", None, "its page")
    with pytest.raises(DownloadError) as caught:
        download(source, target, lambda _: None, HASTE)
    assert caught.value.context["url"] == f"{server.url}/none.pt"
    assert "secret" not in caught.value.detail


def test_server_that_cannot_be_reached_is_told(server, target):
    with weights_server() as gone:
        pass
    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch(gone, target)


def test_proxy_of_the_environment_is_asked(server, target, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.put(PATH, CONTENT)
    source = Source(f"http://weights.invalid{PATH}", None, "its page")
    assert download(source, target, lambda _: None, HASTE) == md5(CONTENT)
    assert server.asked[0].headers["Host"] == "weights.invalid"


def test_caller_can_end_it_and_keeps_what_has_arrived(server, target):
    server.put(PATH, CONTENT)

    def enough(progress):
        if progress.done_bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(Source(server.url + PATH, None, ""), target, enough, HASTE)
    arrived = part_of(target).stat().st_size
    assert 0 < arrived <= len(CONTENT)
    assert not target.exists()


def test_full_disk_is_told_and_given_back(server, target):
    server.put(PATH, CONTENT)
    target.parent.mkdir()
    part_of(target).symlink_to("/dev/full")  # takes no byte, as a full disk does
    with pytest.raises(DownloadError, match="is full") as caught, disk_errors(target):
        fetch(server, target)
    assert caught.value.context["errno"] == errno.ENOSPC
    assert folder_of(target) == []
    assert str(target.parent) not in caught.value.detail


def test_disk_without_room_is_told_before_anything_is_written(server, target, monkeypatch):
    server.put(PATH, CONTENT)
    usage = type("usage", (), {"free": 2000})
    monkeypatch.setattr("deployments.weights.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match="0 MB more"):
        fetch(server, target)
    assert part_of(target).stat().st_size == 0


def test_forbidden_folder_is_told(tmp_path):
    def refused():
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    with pytest.raises(DownloadError, match="may not write") as caught, disk_errors(tmp_path):
        refused()
    assert str(tmp_path) not in caught.value.detail


def test_file_in_the_folders_place_is_told(server, tmp_path):
    (tmp_path / "checkpoints").write_bytes(b"")
    target = tmp_path / "checkpoints/toy.pt"
    with pytest.raises(DownloadError, match="cannot be written"), disk_errors(target):
        fetch(server, target)
