"""What ZITS's networks are told of a picture's structure, against formulas and drawn pictures."""

import math

import numpy as np
import pytest
import torch

from deployments.models.zits_structure import (
    complete,
    draw_lines,
    enlarge,
    find_edges,
    shrink_image,
    standardise,
)


def lines_of(*lines, scores=None):
    """What the wireframe network answers; `lines` are x, y, x, y of 256."""
    return {
        "num_proposals": torch.tensor(len(lines)),
        "lines_pred": torch.tensor(lines, dtype=torch.float32).reshape(-1, 4) / 256,
        "lines_score": torch.tensor([1.0] * len(lines) if scores is None else scores),
    }


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_edges_are_found_where_the_picture_steps():
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, 100:] = 200
    edges = find_edges(image)
    assert edges.dtype == np.float32
    assert np.unique(edges).tolist() == [0, 1]
    rows, columns = np.nonzero(edges)
    assert set(columns) <= {99, 100}
    assert len(set(rows)) > 240
    assert not find_edges(np.full_like(image, 90)).any()


def test_edges_are_blurred_as_in_the_training():
    """With a deviation of 3 px: one of 3.2 hides these high stripes, one of 2.5 shows the low."""
    stripes = np.arange(256) % np.array([[8], [12]]) < np.array([[4], [6]])
    high, low = (
        find_edges(np.tile(row[None, :, None] * np.uint8(level), (256, 1, 3)))[32:-32, 32:-32]
        for row, level in zip(stripes, (250, 60), strict=True)
    )
    assert high.any()
    assert not low.any()


def test_wireframe_input_is_standardised_with_grey_holes():
    image = torch.rand(1, 3, 4, 4)
    holes = torch.zeros(1, 1, 4, 4)
    holes[..., 1:3] = 1
    given = standardise(image, holes).double().numpy()
    level = np.where(holes > 0, 127.5, image.double().numpy() * 255)
    mean = np.array([109.73, 103.832, 98.681]).reshape(1, 3, 1, 1)
    deviation = np.array([22.275, 22.124, 23.229]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(given, (level - mean) / deviation, rtol=1e-5, atol=1e-5)


def test_lines_are_drawn_from_their_x_and_y():
    canvas = draw_lines(lines_of((10, 20, 200, 20), (30, 40, 30, 250)))
    assert (canvas.shape, canvas.dtype) == ((1, 1, 256, 256), torch.float32)
    expected = torch.zeros(256, 256)
    expected[20, 10:201] = 1
    expected[40:251, 30] = 1
    assert torch.equal(canvas[0, 0], expected)


def test_slanted_line_is_smooth_and_weighs_one_in_each_column():
    canvas = draw_lines(lines_of((10, 20, 200, 77)))[0, 0]
    assert len(canvas.unique()) > 5
    columns = canvas.sum(dim=0)
    assert 0.9 < columns[12:199].min() <= columns[12:199].max() < 1.6
    assert not columns[:9].any()
    assert not columns[203:].any()
    assert canvas[48:50, 105].max() > 0.5  # halfway between the ends


def test_crossing_lines_keep_the_stronger_value():
    alone = [draw_lines(lines_of(line)) for line in ((10, 20, 200, 77), (10, 77, 200, 20))]
    both = draw_lines(lines_of((10, 20, 200, 77), (10, 77, 200, 20)))
    assert torch.equal(both, torch.maximum(*alone))


def test_lines_of_low_score_are_left_out():
    scores = [0.84, 0.86, 0.2]
    lines = [(0, row, 99, row) for row in (10, 20, 30)]
    canvas = draw_lines(lines_of(*lines, scores=scores))
    assert canvas.nonzero()[:, 2].unique().tolist() == [20]


def test_no_proposals_are_no_lines():
    found = lines_of((10, 20, 200, 20)) | {"num_proposals": torch.tensor(0)}
    assert not draw_lines(found).any()
    assert not draw_lines(lines_of()).any()


def test_line_that_ends_at_the_very_border_is_drawn_inside():
    canvas = draw_lines(lines_of((256, 0, 256, 256)))
    assert canvas.nonzero()[:, 3].unique().tolist() == [255]
    assert canvas.sum() == 256


def test_structure_is_completed_in_the_holes_and_kept_elsewhere():
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 256, 256, generator=rng)
    edges = (torch.rand(1, 1, 256, 256, generator=rng) > 0.5).float()
    lines = torch.rand(1, 1, 256, 256, generator=rng)
    holes = torch.zeros(1, 1, 256, 256)
    holes[..., 50:100, 30:90] = 1
    logits = torch.linspace(-4, 4, 256).expand(1, 1, 256, 256)
    given = []

    def network(*args, masks):
        given.extend([*args, masks])
        return logits, logits.mT

    new_edges, new_lines = complete(network, image, edges, lines, holes)
    for seen, whole in zip(given, (image, edges, lines), strict=False):
        assert torch.equal(seen, torch.where(holes > 0, 0.0, whole))
    assert torch.equal(given[3], holes)
    likely = (logits >= math.log(1 / 3)).float()  # a probability of 0.25
    assert torch.equal(new_edges, torch.where(holes > 0, likely, edges))
    expected = torch.where(holes > 0, torch.sigmoid((logits.mT + 0.05) * 4), lines)
    torch.testing.assert_close(new_lines, expected)


@pytest.mark.parametrize(
    ("side", "doublings"), [(256, 0), (288, 1), (512, 1), (544, 2), (1024, 2), (1056, 3)]
)
def test_structure_is_doubled_until_it_is_large_enough(side, doublings):
    calls = []

    def upsample(structure):
        calls.append(structure.shape[2])
        return torch.zeros(1, 1, 2 * structure.shape[2], 2 * structure.shape[2])

    result = enlarge(upsample, torch.full((1, 1, 256, 256), 0.25), side)
    assert calls == [256 * 2**n for n in range(doublings)]
    assert result.shape == (1, 1, side, side)
    expected = sigmoid(4) if doublings else 0.25
    assert result.unique().tolist() == [pytest.approx(expected, abs=1e-6)]


@pytest.mark.parametrize("logit", [-2.5, 0.0, 1.0])
def test_faint_structure_is_made_stronger(logit):
    result = enlarge(
        lambda structure: torch.full((1, 1, 512, 512), logit), torch.zeros(1, 1, 256, 256), 512
    )
    assert result.unique().tolist() == [pytest.approx(sigmoid((logit + 2) * 2), abs=1e-6)]


def test_shrunk_image_is_averaged_and_a_smaller_one_interpolated():
    image = np.zeros((1024, 1024, 3), np.uint8)
    image[::4] = 200
    assert np.unique(shrink_image(image, 256)).tolist() == [50]
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    grown = shrink_image(ramp, 512)
    assert grown.shape == (512, 512, 3)
    assert grown[0, 201, 0] in (100, 101)
