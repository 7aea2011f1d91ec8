"""Which pictures `run` takes, with which masks, and what their results are called."""

from pathlib import Path

import cv2
import pytest

from inpaint.codecs import Format
from serve_app.cli.exits import CommandError
from serve_app.cli.run_tasks import Places, is_complete, list_tasks
from tests.conftest import png


@pytest.fixture
def folder(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def listed(at, image="in", output="out", mask=None, **more):
    places = Places(at / image, at / output, at / mask if mask else None, **more)
    tasks, format_ = list_tasks(places)
    shown = [
        tuple(
            path and path.relative_to(at).as_posix()
            for path in (task.image, task.mask, task.output)
        )
        for task in tasks
    ]
    return shown, format_


def refusal(*given, **more):
    with pytest.raises(CommandError) as caught:
        listed(*given, **more)
    return str(caught.value)


def test_masks_are_paired_by_name_and_results_are_pngs(folder):
    at = folder(
        "in/b.JPG", "in/a.png", "in/note.txt", "in/.hidden.png", "m/a.jpg", "m/b.png", "m/z.png"
    )
    assert listed(at, mask="m") == (
        [("in/a.png", "m/a.jpg", "out/a.png"), ("in/b.JPG", "m/b.png", "out/b.png")],
        Format.PNG,
    )


def test_one_mask_serves_all_pictures(folder):
    at = folder("in/a.png", "in/b.png", "mask.png")
    shown, _ = listed(at, mask="mask.png")
    assert [mask for _, mask, _ in shown] == ["mask.png", "mask.png"]


def test_a_picture_without_a_mask_is_listed_without_one(folder):
    at = folder("in/a.png", "in/b.png", "m/a.png")
    shown, _ = listed(at, mask="m")
    assert [mask for _, mask, _ in shown] == ["m/a.png", None]


def test_a_single_picture_takes_the_mask_of_its_name_in_a_folder(folder):
    at = folder("photo.png", "m/photo.jpg", "m/other.png")
    assert listed(at, "photo.png", mask="m")[0] == [("photo.png", "m/photo.jpg", "out/photo.png")]


def test_a_single_picture_may_have_a_file_as_output_whose_name_says_the_format(folder):
    at = folder("photo.png", "mask.png")
    shown, format_ = listed(at, "photo.png", "clean.jpg", "mask.png")
    assert (shown[0][2], format_) == ("clean.jpg", Format.JPEG)
    (at / "there.png").mkdir()
    assert listed(at, "photo.png", "there.png", "mask.png")[0][0][2] == "there.png/photo.png"


def test_the_format_gives_results_their_suffix(folder):
    at = folder("in/a.png")
    assert listed(at, format=Format.JPEG) == ([("in/a.png", None, "out/a.jpg")], Format.JPEG)
    assert listed(at, format=Format.WEBP)[0][0][2] == "out/a.webp"


def test_folders_within_are_mirrored_on_demand(folder):
    at = folder("in/a.png", "in/x/b.png", "in/x/y/c.png", "m/a.png", "m/x/b.png", "m/c.png")
    assert [shown[0] for shown in listed(at, mask="m")[0]] == ["in/a.png"]
    assert listed(at, mask="m", recursive=True)[0] == [
        ("in/a.png", "m/a.png", "out/a.png"),
        ("in/x/b.png", "m/x/b.png", "out/x/b.png"),
        ("in/x/y/c.png", None, "out/x/y/c.png"),
    ]


def test_masks_and_results_among_the_pictures_are_no_pictures(folder):
    at = folder("in/a.png", "in/masks/a.png", "in/done/a.png", "in/one-mask.png")
    shown, _ = listed(at, output="in/done", mask="in/masks", recursive=True)
    assert [image for image, _, _ in shown] == ["in/a.png", "in/one-mask.png"]
    shown, _ = listed(at, output="in/done", mask="in/one-mask.png", recursive=True)
    assert [image for image, _, _ in shown] == ["in/a.png", "in/masks/a.png"]


def test_what_cannot_be_done_is_told(folder):
    at = folder(
        "in/a.png", "in/a.jpg", "empty/note.txt", "file.png", "file.txt", "m/file.png", "m/file.jpg"
    )
    (at / "deep/er").mkdir(parents=True)
    assert "does not exist" in refusal(at, "nowhere")
    assert "differ in their suffix only" in refusal(at)
    assert "differ in their suffix only" in refusal(at, "file.png", mask="m")
    assert "no picture" in refusal(at, "empty")
    assert "--recursive" in refusal(at, "deep")
    (at / "in/a.jpg").unlink()
    assert "needs a folder" in refusal(at, output="file.png")
    assert "not called as a picture" in refusal(at, "file.png", "file.txt")
    assert "overwritten" in refusal(at, "file.png", "file.png")


def test_a_result_never_overwrites_its_picture(folder):
    at = folder("in/a.png", "in/b.jpg")
    assert "overwritten" in refusal(at, output="in")
    (at / "in/a.png").unlink()
    assert listed(at, output="in")[0] == [("in/b.jpg", None, "in/b.png")]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
def test_a_result_is_complete_or_it_is_not(tmp_path, photo, suffix):
    path = tmp_path / "result"
    assert not is_complete(path)
    data = cv2.imencode(suffix, photo)[1].tobytes()
    path.write_bytes(data)
    assert is_complete(path)
    if suffix != ".tiff":  # it has nothing at its end that could be missed
        path.write_bytes(data[:-5])
        assert not is_complete(path)
    path.write_bytes(b"")
    assert not is_complete(path)


def test_what_is_no_picture_is_not_complete(tmp_path):
    (tmp_path / "result.png").write_bytes(b"an error page")
    assert not is_complete(tmp_path / "result.png")
    assert not is_complete(Path(tmp_path))


def test_pictures_of_the_server_are_complete(tmp_path, photo):
    (tmp_path / "a.png").write_bytes(png(photo))
    assert is_complete(tmp_path / "a.png")
