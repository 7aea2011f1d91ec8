import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inpaint.boxes import Box
from inpaint.text_checks import line_holes, moved, remaining, windows
from tests.unit.test_text_rules import line

SIZE = (100, 200)
ANYWHERE = st.integers(-300, 500)


@given(ANYWHERE, ANYWHERE, st.integers(1, 300), st.integers(1, 300))
def test_windows_lie_in_the_picture_and_are_never_empty(left, top, width, height):
    for box in windows([line(left=left, top=top, width=width, height=height)], SIZE):
        assert 0 <= box.left < box.right <= SIZE[1]
        assert 0 <= box.top < box.bottom <= SIZE[0]


def test_windows_of_near_lines_are_read_together_and_of_far_ones_apart():
    near = [line(top=20, height=10), line(top=32, height=10)]
    far = line(left=150, top=85, width=30, height=8)
    assert len(windows(near, SIZE)) == 1
    assert len(windows([*near, far], (400, 400))) == 2


def test_moved_regions_are_in_the_whole_pictures_coordinates():
    window = Box(50, 30, 130, 46)
    (region,) = moved([line(left=1, top=2)], window)
    assert region.polygon[0].tolist() == [51, 32]


def test_only_words_in_the_mask_remain():
    mask = np.zeros(SIZE, np.uint8)
    mask[15:40, 5:100] = 255
    inside, beside, empty = line(), line(left=110), line(text=" ")
    letter, unsure = line(text="8"), line(score=0.4)
    assert remaining([inside, beside, empty, letter, unsure], mask) == [inside]


def test_letters_of_a_line_are_one_hole():
    mask = np.zeros(SIZE, np.uint8)
    for left in range(12, 90, 10):
        mask[22:34, left : left + 5] = 255
    mask[80:84, 150:160] = 255  # a stroke outside of every line is covered too
    assert len(line_holes(mask, [])) == 9
    holes = line_holes(mask, [line()])
    assert len(holes) == 2
    covered = np.zeros(SIZE, bool)
    for hole in holes:
        covered[hole.window] = True
    assert covered[mask > 0].all()
