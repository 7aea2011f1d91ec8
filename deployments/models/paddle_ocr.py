"""PaddleOCR 3: finds text in every scale of a picture and reads it the right way up."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from deployments.models.paddle_model_dirs import (
    DET_MODEL,
    REC_MODEL,
    shipped_model_dirs,
    silence_onnxruntime,
)
from deployments.models.text_crops import (
    Strip,
    batches,
    cut_out,
    first_turn,
    other_turns,
    pieces,
    turned_polygon,
)
from deployments.models.text_lines import Line, in_reading_order, merge, ordered_quad, unnest
from deployments.models.text_views import View, plan_views, plan_whole
from deployments.weights import default_model_dir
from inpaint.arrays import Image, Size
from inpaint.errors import ExtraMissingError
from inpaint.specs import ModelSpec
from inpaint.texts import Polygon, ReaderOptions, ReadOptions, TextRegion

logger = logging.getLogger("ray.serve")

PADDLE_LONG_PX = 960
"""Longest side of what PaddleOCR itself shows to the detector."""

SMALLEST_PX = 64
"""Views are padded to this: PaddleOCR's own padding of tiny pictures shifts what it finds."""

FLAT_LEVELS = 4
"""A view whose colours differ less has no writing that could be seen."""

SURE_SCORE = 0.85
"""Lines that are read less surely are tried upside down."""

SURE_DETECTION = 0.6
"""PaddleOCR's own threshold. What lies below it must at least be readable."""

READABLE_SCORE = 0.5

Reading = tuple[str, float]


class PaddleOcr:
    """PaddleOCR's detector and recogniser."""

    def __init__(self, detector: Any, recogniser: Any, max_detector_pixels: int) -> None:
        self._detector = detector
        self._recogniser = recogniser
        self._max_detector_pixels = max_detector_pixels

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: ReaderOptions) -> Self:
        """Load the models that the rapidocr wheel ships, or those that `options` name.

        Nothing goes over the network unless `options` name a model, or the engine is "paddle".

        Raises:
            ExtraMissingError: PaddleOCR, or rapidocr with the shipped models, is not installed.
        """
        _prepare_environment()
        try:
            from paddleocr import TextDetection, TextRecognition
        except ModuleNotFoundError as error:
            raise ExtraMissingError(
                f"The model '{spec.name}' needs the Python package '{error.name}', which is not "
                "installed on the server: pip install 'inpaint-serve[ocr]'."
            ) from error
        det, rec = _model_arguments(options)
        shared = _engine_arguments(options)
        detector = TextDetection(**det, **shared)
        recogniser = TextRecognition(**rec, **shared)
        for model in (detector, recogniser):
            _stop_spinning(model)
        return cls(detector, recogniser, options.max_detector_pixels)

    def read(self, image: Image, options: ReadOptions) -> list[TextRegion]:
        """Lines of text in reading order. A line that was found but not read has no text."""
        size: Size = image.shape[:2]
        if options.multiscale:
            views = plan_views(size, options.zoom, self._max_detector_pixels)
        else:
            views = plan_whole(size, PADDLE_LONG_PX)
        found = [line for view in views for line in self._detect(image, view, options)]
        lines = [_within(size, line) for line in merge(found)]
        if options.recognise:
            regions = [region for region in self._recognise(image, lines) if _is_credible(region)]
            regions = [region for region in unnest(regions) if region.score >= options.min_score]
        else:
            regions = [_unread(line) for line in lines]
        return in_reading_order(regions)

    def _detect(self, image: Image, view: View, options: ReadOptions) -> list[Line]:
        part = image[view.box.window]
        if _is_flat(part):
            return []
        height, width = part.shape[:2]
        bgr = cv2.copyMakeBorder(
            cv2.cvtColor(part, cv2.COLOR_RGB2BGR),
            0,
            max(0, SMALLEST_PX - height),
            0,
            max(0, SMALLEST_PX - width),
            cv2.BORDER_REPLICATE,
        )
        # Every setting is given each time: batch_size, for one, would stay from call to call.
        found = self._detector.predict(
            bgr,
            batch_size=1,
            limit_type="resize_long",
            limit_side_len=max(32, round(max(bgr.shape) * view.scale)),
            max_side_limit=1_000_000,
            thresh=options.thresh,
            box_thresh=options.box_thresh,
            unclip_ratio=options.unclip_ratio,
        )[0]
        return [
            line
            for points, score in zip(found["dt_polys"], found["dt_scores"], strict=True)
            if (line := _line(points, float(score), view, image.shape[:2])) is not None
        ]

    def _recognise(self, image: Image, lines: Sequence[Line]) -> list[TextRegion]:
        crops = [cut_out(image, line.quad) for line in lines]
        turns = [first_turn(crop) for crop in crops]
        readings = self._read_strips([np.rot90(c, k) for c, k in zip(crops, turns, strict=True)])
        doubtful = [
            (n, turn)
            for n, crop in enumerate(crops)
            if readings[n][1] < SURE_SCORE
            for turn in other_turns(crop)
        ]
        again = self._read_strips([np.rot90(crops[n], turn) for n, turn in doubtful])
        for (n, turn), reading in zip(doubtful, again, strict=True):
            if reading[1] > readings[n][1]:
                readings[n], turns[n] = reading, turn
        return [
            TextRegion(turned_polygon(line.quad, turn), *reading, detection_score=line.score)
            for line, turn, reading in zip(lines, turns, readings, strict=True)
        ]

    def _read_strips(self, strips: Sequence[Strip]) -> list[Reading]:
        parts = [(n, part) for n, strip in enumerate(strips) for part in pieces(strip)]
        read: dict[int, Reading] = {}
        for batch in batches([part for _, part in parts]):
            given = [np.ascontiguousarray(parts[index][1]) for index in batch]
            answers = self._recogniser.predict(given, batch_size=len(given))
            for index, answer in zip(batch, answers, strict=True):
                read[index] = str(answer["rec_text"]), float(answer["rec_score"])
        readings: list[Reading] = []
        for n in range(len(strips)):
            own = [read[index] for index, (owner, _) in enumerate(parts) if owner == n]
            text = "".join(text for text, _ in own).strip()
            readings.append((text, float(np.mean([score for _, score in own]))))
        return readings


def _line(points: Polygon, score: float, view: View, picture: Size) -> Line | None:
    """What was found at `points` of a view, in the picture; None if it lies in the padding."""
    height, width = view.box.size
    inside = np.clip(np.asarray(points, np.float32), 0, (width, height))
    quad = ordered_quad(inside) if len(inside) != 4 else inside
    quad = (quad + np.array([view.box.left, view.box.top])).astype(np.float32)
    line = Line(quad, score, view.scale)
    if cv2.contourArea(quad) < 1:
        return None
    is_cut = view.is_cut(line.box, picture, slack_px=3 / view.scale)
    return Line(quad, score, view.scale, is_cut)


def _within(picture: Size, line: Line) -> Line:
    """`line` without what the rectangle around joined parts has outside the picture."""
    return replace(line, quad=np.clip(line.quad, 0, picture[::-1]).astype(np.float32))


def _is_credible(region: TextRegion) -> bool:
    """Whether the detector or the recogniser is sure that this is text.

    Stylised writing that nobody can read counts, a doubtful texture does not.
    """
    return region.detection_score >= SURE_DETECTION or region.score >= READABLE_SCORE


def _unread(line: Line) -> TextRegion:
    """A region without text, its polygon turned as if tall lines were vertical writing."""
    width, height = (np.linalg.norm(line.quad[n] - line.quad[0]) for n in (1, 3))
    turn = first_turn(np.empty((int(height), int(width), 3), np.uint8))
    return TextRegion(turned_polygon(line.quad, turn), "", 0.0, line.score)


def _is_flat(part: Image) -> bool:
    rows = part.reshape(part.shape[0], -1)  # numpy is 25 times faster along one axis at a time
    brightest = rows.max(axis=0).reshape(-1, 3).max(axis=0)
    darkest = rows.min(axis=0).reshape(-1, 3).min(axis=0)
    return bool((brightest - darkest).max() < FLAT_LEVELS)


def _prepare_environment() -> None:
    """What PaddleX and ONNX Runtime read when they are imported."""
    silence_onnxruntime()
    # It would look for a reachable model hub, over the network, each time.
    os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"
    if not os.access(Path.home(), os.W_OK):  # it makes ~/.paddlex, or fails to be imported
        os.environ.setdefault("PADDLE_PDX_CACHE_HOME", tempfile.mkdtemp(prefix="paddlex-"))


def _model_arguments(options: ReaderOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Names and, for shipped models, folders of the detector and the recogniser."""
    det = {"model_name": options.det_model or DET_MODEL}
    rec = {"model_name": options.rec_model or REC_MODEL}
    if options.engine == "onnxruntime" and not (options.det_model and options.rec_model):
        shipped = shipped_model_dirs(default_model_dir())
        if not options.det_model:
            det["model_dir"] = str(shipped.detection)
        if not options.rec_model:
            rec["model_dir"] = str(shipped.recognition)
    return det, rec


def _engine_arguments(options: ReaderOptions) -> Mapping[str, Any]:
    if options.engine == "paddle":
        is_gpu = options.device.startswith("cuda")
        device = options.device.replace("cuda", "gpu") if is_gpu else "cpu"
        return {"engine": "paddle", "device": device, "cpu_threads": options.threads}
    threads = {"intra_op_num_threads": options.threads, "inter_op_num_threads": 1}
    return {"engine": "onnxruntime", "device": _onnx_device(options), "engine_config": threads}


def _onnx_device(options: ReaderOptions) -> str:
    import onnxruntime

    if not options.device.startswith("cuda"):
        return "cpu"
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return options.device.replace("cuda", "gpu")
    logger.warning("OCR runs on the CPU: the installed onnxruntime knows no GPU")
    return "cpu"


def _stop_spinning(model: Any) -> None:
    """Let threads that wait inside ONNX Runtime sleep: spinning takes the cores from neighbours.

    PaddleOCR offers every option of a session but this one, so the session is made once more.
    """
    runner = getattr(model.paddlex_predictor, "runner", None)
    session = getattr(runner, "session", None)
    if runner is None or session is None:
        return
    import onnxruntime

    options = session.get_session_options()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    runner.session = onnxruntime.InferenceSession(
        str(runner.model_dir / "inference.onnx"), options, providers=session.get_providers()
    )
