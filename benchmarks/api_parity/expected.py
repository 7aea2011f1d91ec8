"""The differences that are meant; docs/parity.md shows the same rows.

python -m benchmarks.api_parity.expected      # prints them
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from benchmarks.api_parity.compare import Difference


@dataclass(frozen=True)
class Expected:
    """Differences of one reason.

    Attributes:
        cases: names of cases; `*` stands for anything.
        aspects: what differs there, and how ("IOPaint's → ours"); how is None where it varies.
        why: the reason.
        is_certain: it happens every time.
    """

    cases: tuple[str, ...]
    aspects: dict[str, str | None]
    why: str
    is_certain: bool = True

    def applies_to(self, case: str) -> bool:
        """Whether it speaks of a case."""
        return any(fnmatchcase(case, pattern) for pattern in self.cases)

    def covers(self, difference: Difference) -> bool:
        """Whether it allows a difference of a case that it speaks of."""
        allowed = self.aspects.get(difference.aspect, "")
        return allowed is None or allowed == difference.change

    def row(self) -> str:
        """Its row of docs/parity.md."""
        cases = ", ".join(f"`{case}`" for case in self.cases)
        parts = [name if how is None else f"{name} {how}" for name, how in self.aspects.items()]
        return f"| {cases} | {'; '.join(parts)} | {self.why} |"


EXPECTED: tuple[Expected, ...] = (
    # Errors
    Expected(
        ("*",),
        {"detail": "echoes input → does not"},
        "what was sent, base64 and all, is not sent back",
        is_certain=False,
    ),
    Expected(
        ("inpaint, not JSON",),
        {"body": "detail[].loc[] number → text"},
        "the place is `body`; FastAPI adds at which byte the parser stopped",
    ),
    Expected(
        (
            "inpaint, no image",
            "inpaint, no mask",
            "inpaint, an empty object",
            "inpaint, image is null",
            "inpaint, bad base64",
            "inpaint, a link",
            "inpaint, an empty image",
        ),
        {"status": "500 → 422"},
        "the caller can mend it",
    ),
    Expected(
        (
            "inpaint, not a picture",
            "inpaint, a mask that is no picture",
            "inpaint, a truncated PNG",
            "adjust_mask, not a picture",
            "gen-info, not a picture",
        ),
        {"status": "500 → 400"},
        "the caller can mend it",
    ),
    Expected(
        ("inpaint, multipart",),
        {"status": "500 → 422", "body": "an error → findings"},
        "the route takes JSON only, and says so",
    ),
    Expected(
        ("inpaint, resize limit 0", "inpaint, resize limit -5", "inpaint, margin -200"),
        {"status": "500 → 422"},
        "the caller can mend it",
    ),
    Expected(
        ("inpaint, margin -8",),
        {"status": "200 → 422"},
        "a margin below 0 cuts into the hole, whose rim would stay",
    ),
    Expected(
        ("adjust_mask, kernel -1",),
        {"status": "500 → 422"},
        "the caller can mend it",
    ),
    # Routes
    Expected(
        ("samplers, POST", "inpaint, PUT"),
        {"allow": None},
        "a 405 must name the methods that are allowed (RFC 9110, 15.5.6)",
    ),
    Expected(
        ("inpaint, GET",),
        {"status": "404 → 405", "allow": None},
        "the route is there; IOPaint looks for a file of that name for its page",
    ),
    Expected(
        ("an unknown path, POST",),
        {"status": "405 → 404"},
        "nothing is there; IOPaint means the files of its page, which take GET",
    ),
    Expected(
        ("cross-origin GET",),
        {"CORS": None},
        "closed: with it any page that a user visits could use the server",
    ),
    Expected(
        ("cross-origin preflight",),
        {"status": "200 → 405", "CORS": None, "allow": None},
        "closed, see above",
    ),
    Expected(
        ("switch_plugin_model, absent plugin",),
        {"status": "200 → 422"},
        "IOPaint says 200 and does nothing",
    ),
    Expected(
        ("medias, without a folder",),
        {"body": "a detail → an error"},
        "without --input IOPaint has no such route; here it is there, and says so",
    ),
    Expected(
        ("model, an unknown name",),
        {"status": "500 → 404"},
        "the caller can mend it",
    ),
    Expected(
        ("model, after an unknown name", "inpaint, after an unknown model"),
        {"status": "500 → 200"},
        "a refused switch changes nothing; IOPaint stays broken until a good one",
    ),
    Expected(
        ("server-config", "server-config, with files"),
        {
            "body": "modelInfos[].brushnets[] absent → text; "
            "modelInfos[].controlnets[] absent → text; plugins[] absent → object; "
            "plugins[].name absent → text; plugins[].support_gen_image absent → bool; "
            "plugins[].support_gen_mask absent → bool"
        },
        "every model that is served is listed, those without weights too, and IOPaint here has "
        "none that takes one; text removal is a plugin",
    ),
    # Files
    Expected(
        ("inputimage, without one",),
        {"status": "200 → 404"},
        "IOPaint's 200 has an error as its body; its page takes only pictures from here",
    ),
    Expected(
        ("save_image, without a folder",),
        {"status": "500 → 400"},
        "the message IOPaint means to send; it fails before",
    ),
    Expected(
        (
            "save_image, ../up.png",
            "save_image, a/b/c.png",
            "save_image, /nowhere/absolute.png",
        ),
        {"status": "200 → 422", "files": None},
        "a client that sends folders is wrong about where it writes; IOPaint drops them",
    ),
    Expected(
        ("save_image, ..",),
        {"status": "500 → 422"},
        "the caller can mend it",
    ),
    Expected(
        ("save_image, text called .png",),
        {"status": "200 → 400", "files": "out/text.png → none"},
        "only pictures are saved",
    ),
    # Pictures
    Expected(
        ("*, picture: TIFF",),
        {"status": "500 → 200"},
        "IOPaint hands `quality` to Pillow, which takes none for LZW",
    ),
    Expected(
        ("*, picture: LA",),
        {"alpha": "none → kept"},
        "transparency of every mode is kept",
    ),
    Expected(
        ("*, picture: palette with alphas", "*, picture: palette with a transparent index"),
        {"status": "500 → 200"},
        "IOPaint cannot save what it passes on of them",
    ),
    Expected(
        ("*, picture: grey, 16 bits",),
        {"pixels": None},
        "the high byte; IOPaint clips 65,536 greys at 255, nearly all white",
    ),
    Expected(
        ("lama, picture: grey JPEG",),
        {"loss": None},
        "a grey JPEG stays one, so colour that a network puts into the hole becomes grey",
    ),
    Expected(
        ("cv2, size: 1x1",),
        {"pixels": None},
        "OpenCV reads past the memory of a side of 1 px: IOPaint's answer varies between calls",
        is_certain=False,
    ),
    Expected(
        ("lama, size: 1x1", "lama, size: 7x5"),
        {"status": "500 → 200"},
        "padded to 16 px; the network takes no side of 8 px",
    ),
    Expected(
        ("cv2, size: 4000x3000",),
        {"pixels": "by up to 1"},
        "two pixels: OpenCV 4.10 rounds unlike IOPaint's 4.11; with 4.11 here none differs",
        is_certain=False,
    ),
    Expected(
        ("cv2, fields: radius 0", "cv2, fields: radius -1"),
        {"pixels": "by up to 6"},
        "OpenCV 4.10 rounds unlike IOPaint's 4.11; with 4.11 here none differs",
        is_certain=False,
    ),
    Expected(
        ("*, fields: crop in lower case",),
        {"pixels": None},
        "case is no meaning; IOPaint takes `crop` for Original",
    ),
    Expected(
        ("lama, fields: all that the page sends",),
        {"pixels": None},
        "the misspelt trigger size counts, so the picture of 700 px is cropped",
    ),
    Expected(
        ("*, holes that overlap",),
        {"pixels": None},
        "their tiles are merged into one; IOPaint paints one after the other",
    ),
)


if __name__ == "__main__":
    print("\n".join(entry.row() for entry in EXPECTED))
