"""Where a scanner's words stand on its scan, if its layer lies beside it.

A scanner writes its words where they stood on the sheet that it recognised. Where that was cropped,
straightened or scaled afterwards, all of them stand beside what they mean, by up to several lines. Of
lines that are known to be those of the scan it can be told how far: each is moved to where its words
lie on the most ink, and the gaps between them on the least. Some lines are looked for together, which
fit hardly anywhere else, and from there line by line, for the next one is moved nearly as far.

Belongs here: arithmetic of places and pixels. Does not belong here: whether the words are those of the
scan (`judgement`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

# So many pixels the first lines are looked for around their place, and each further line around that of
# its neighbour.
_FAR, _NEAR = 40, 3

# So much more ink, of what is found, the farthest step has to find; the next lines are not those meant.
_CLEARLY_MORE = 0.1

# So many places are tried for the first lines, so many pixels apart.
_PEAKS, _APART = 4, 5

Shift = tuple[int, int]
"""How far something is moved to the right and down, in pixels."""

_Boxes = npt.NDArray[np.intp]


def shifts(ink: npt.NDArray[np.bool_], lines: Sequence[_Boxes], first: int, last: int) -> list[Shift]:
    """Return how far each of some lines has to be moved to lie on what it means.

    Args:
        ink: where there is ink.
        lines: from top to bottom the words of each: rows of left, top, right and bottom, in pixels.
        first, last: the lines from the first of these to before the last are looked for together.
    """
    sums = np.zeros((ink.shape[0] + 1, ink.shape[1] + 1), dtype=np.int32)
    np.cumsum(np.cumsum(ink, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
    worth = np.sum([_worth(sums, words, (0, 0), _FAR) for words in lines[first:last]], axis=0)
    found = [_from_there(sums, lines, first, start) for start in _peaks(worth)]
    # A line too far up or down some lines lie on as much ink, but not all.
    return max(found, key=lambda each: each[0])[1]


def _peaks(worth: npt.NDArray[np.float64]) -> Iterator[Shift]:
    """Yield the likeliest shifts, which are not near each other, up and down."""
    across, best = worth.argmax(axis=1), worth.max(axis=1)
    for _ in range(_PEAKS):
        down = int(best.argmax())
        yield int(across[down]) - _FAR, down - _FAR
        best[max(0, down - _APART) : down + _APART + 1] = -np.inf


def _from_there(
    sums: npt.NDArray[np.int32], lines: Sequence[_Boxes], first: int, start: Shift
) -> tuple[float, list[Shift]]:
    """Return what the shifts of all lines are worth if that of one is about known, and these shifts."""
    total, found = 0.0, [start] * len(lines)
    for order in (range(first, len(lines)), range(first - 1, -1, -1)):
        right, down = start
        for index in order:
            worth = _worth(sums, lines[index], (right, down), _NEAR)
            row, column = np.unravel_index(worth.argmax(), worth.shape)
            right, down = found[index] = right + int(column) - _NEAR, down + int(row) - _NEAR
            total += worth[row, column]
    return total, found


def _worth(
    sums: npt.NDArray[np.int32], words: _Boxes, around: Shift, far: int
) -> npt.NDArray[np.float64]:
    """Return on how much ink the words of a line lie, less what is between them, if they are moved.

    Args:
        far: by up to so much more than the shift `around`.

    Returns:
        In rows from `far` up to `far` down, in columns from left to right, a little less the farther.
    """
    line = np.concatenate((words[:, :2].min(axis=0), words[:, 2:].max(axis=0)))
    boxes, weights = np.vstack((words, line)), np.array([*[2] * len(words), -1])
    steps = np.arange(-far, far + 1)
    height, width = (side - 1 for side in sums.shape)
    left, right = (
        np.clip(boxes[:, [side]] + around[0] + steps, 0, width)[:, np.newaxis, :] for side in (0, 2)
    )
    top, bottom = (
        np.clip(boxes[:, [side]] + around[1] + steps, 0, height)[:, :, np.newaxis] for side in (1, 3)
    )
    counts = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    away = np.maximum(np.abs(steps)[:, np.newaxis], np.abs(steps))
    worth: npt.NDArray[np.float64] = np.tensordot(weights, counts, 1) * (1 - _CLEARLY_MORE * away / far)
    return worth
