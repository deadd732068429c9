"""Pictures that nobody painted, to learn styles from: textures, strokes, tiles, shapes, drawings.

A pool of a few dozen paintings shows too few ways to put paint on a canvas. These show more of
them, each with sizes, angles and colours of its own: what a network should learn to tell apart.
"""

import random
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_style.images import Rgb

# Directions of paint are read off a photo without its details, in shares of its side.
_FORMS = 1 / 20
# Around a picture, for what is drawn beyond its edges.
_FRAME_PX = 16
_SHIFT = 4  # of cv2's fixed point coordinates, in bits


def made_style(photo: Rgb, draw: random.Random) -> Rgb:
    """`photo` [S, S, 3] as some technique has it: brush, tiles, stones, paper, pen, chalk."""
    techniques = [brushed, tiled, inlaid, cut_out, hatched, drawn]
    return draw.choices(techniques, weights=[6, 2, 2, 3, 1, 2])[0](photo, draw)


def made_texture(side_px: int, draw: random.Random) -> Rgb:
    """A texture of a few colours [S, S, 3]: noise of one size, turned, stretched and in steps."""
    noise = np.random.default_rng(draw.getrandbits(32))
    grain = draw.choice([2, 4, 8, 16, 32])
    stretch = draw.choice([1, 1, 3, 6])
    field = _noise(side_px, grain, stretch, draw.uniform(0, 180), noise)
    if draw.random() < 0.5:  # contours instead of a wash
        field = np.sin(field * draw.uniform(2, 8))
    levels = draw.choice([2, 3, 5, 64])
    low, high = float(field.min()), float(field.max())
    share = (field - low) / max(high - low, 1e-6)
    place = np.minimum((share * levels).astype(np.int64), levels - 1) / max(1, levels - 1)
    colours = noise.uniform(0, 255, (4, 3))
    bands = [np.interp(place, np.linspace(0, 1, 4), colours[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(bands, axis=2)), np.uint8)


def brushed(photo: Rgb, draw: random.Random) -> Rgb:
    """Brush strokes over brush strokes, broad ones first (after Hertzmann 1998).

    They follow forms, or one direction, or swirl; short ones are dabs, fine ones leave bristles,
    a knife leaves flat ends. Some painters take the photo's colours for stronger ones.
    """
    side = photo.shape[0]
    random_ = np.random.default_rng(draw.getrandbits(32))
    widest = draw.choice([6, 9, 13, 18, 26])
    length = draw.choice([0.6, 1.5, 3.0, 5.0])
    colour_spread = draw.choice([4.0, 12.0, 25.0, 45.0])
    is_knife = draw.random() < 0.3
    if draw.random() < 0.3:
        photo = _vivid(photo, draw.uniform(1.5, 3.0))
    directions = _directions(photo, draw, random_)
    canvas: Rgb = np.full_like(photo, photo.reshape(-1, 3).mean(axis=0).astype(np.uint8))
    for width in (widest, widest * 0.55, widest * 0.3):
        if width < 2:
            break
        seen = cv2.GaussianBlur(photo, (0, 0), width / 2)
        number = round(1.3 * (side / width) ** 2 / max(1.0, length))
        # The finest leave the broad ones to be seen where there is little to add.
        missing = np.abs(seen.astype(np.float32) - canvas).sum(axis=2)
        places = random_.integers(0, side, (number, 2))
        if width < widest:
            wanted = missing[places[:, 1], places[:, 0]] > draw.uniform(15, 60)
            places = places[wanted]
        for x, y in places.tolist():
            colour = np.clip(seen[y, x] + random_.normal(0, colour_spread, 3), 0, 255)
            angle = float(directions[y, x]) + random_.normal(0, 0.15)
            along = np.array([np.cos(angle), np.sin(angle)])
            along *= length * width / 2 * random_.uniform(0.6, 1.4)
            centre = np.array([x, y])
            if is_knife:
                across = np.array([-np.sin(angle), np.cos(angle)]) * width / 2
                corners = [along + across, along - across, -along - across, across - along]
                outline = np.array([_fixed_point(centre + corner) for corner in corners], np.int32)
                cv2.fillConvexPoly(canvas, outline, colour.tolist(), cv2.LINE_AA, _SHIFT)
            else:
                begin, end = (_fixed_point(centre + part) for part in (-along, along))
                cv2.line(canvas, begin, end, colour.tolist(), round(width), cv2.LINE_AA, _SHIFT)
    if draw.random() < 0.5:
        bristles = _streaks(directions, random_) * draw.uniform(4, 14)
        canvas = np.asarray(np.clip(canvas + bristles[..., None], 0, 255), np.uint8)
    return canvas


def tiled(photo: Rgb, draw: random.Random) -> Rgb:
    """Tiles of one colour each, square or broken, with or without mortar."""
    side = photo.shape[0]
    random_ = np.random.default_rng(draw.getrandbits(32))
    size = draw.choice([8, 12, 18, 28])
    rows = np.arange(size / 2, side + size, size)
    points = np.stack(np.meshgrid(rows, rows), axis=2).reshape(-1, 2)
    points += random_.normal(0, size * draw.choice([0.02, 0.15, 0.35]), points.shape)
    labels = _nearest(points, side)
    colours = _mean_colours(photo, labels)
    colours += random_.normal(0, draw.choice([3, 12, 25]), colours.shape)
    picture = np.asarray(np.clip(colours, 0, 255)[labels], np.float32)
    mortar = draw.choice([0, 1, 2, 3])
    if mortar:
        seam = _seams(labels, mortar)[..., None]
        tone = draw.choice([15.0, 60.0, 235.0])
        picture = picture * (1 - seam) + tone * seam
    return np.asarray(np.rint(picture), np.uint8)


def inlaid(photo: Rgb, draw: random.Random) -> Rgb:
    """A floor of stones in bent rows: few kinds of stone, each grained, in mortar of earth."""
    side = photo.shape[0]
    random_ = np.random.default_rng(draw.getrandbits(32))
    size = draw.choice([7.0, 10.0, 14.0, 20.0])
    number = round(2 * side / size)
    along = np.cumsum(random_.uniform(0.7, 1.3, (number, number)) * size, axis=1)
    along -= along.mean(axis=1, keepdims=True)
    across = (np.arange(number) - number / 2)[:, None] * size
    across = across + random_.normal(0, size * 0.08, along.shape)
    across = across + along**2 * draw.uniform(-0.5, 0.5) / side
    angle = draw.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = np.stack([along, across], axis=2).reshape(-1, 2) @ turn + side / 2
    labels = _nearest(points, side)
    colours = _mean_colours(photo, labels)
    kinds = random_.choice(np.unique(labels), draw.choice([2, 3, 5]))
    stones = colours[kinds]
    nearest = ((colours[:, None] - stones) ** 2).sum(axis=2).argmin(axis=1)
    # Stones of a kind differ in tone more than in colour.
    tones = random_.normal(0, draw.uniform(6, 20), (len(colours), 1))
    colours = stones[nearest] + tones + random_.normal(0, 4, colours.shape)
    picture = colours[labels]
    picture += _noise(side, 2, 1, 0.0, random_)[..., None] * draw.uniform(3, 10)
    earth = np.array([1.0, 0.88, 0.74]) * draw.uniform(40, 150)
    mortar = earth + random_.normal(0, 12, (side, side, 1))
    seam = _seams(labels, 2 if size < 10 else draw.choice([2, 3]))[..., None]
    return np.asarray(np.rint(np.clip(picture * (1 - seam) + mortar * seam, 0, 255)), np.uint8)


def cut_out(photo: Rgb, draw: random.Random) -> Rgb:
    """Discs, polygons, or arcs of few flat colours, outlined or not, in the photo's or in any."""
    side = photo.shape[0]
    random_ = np.random.default_rng(draw.getrandbits(32))
    largest = draw.choice([20, 36, 60, 90])
    kinds = draw.choice([("disc",), ("polygon",), ("arc",), ("disc", "arc"), ("polygon", "disc")])
    if draw.random() < 0.5:
        palette = random_.uniform(0, 255, (draw.choice([3, 5, 8]), 3))
    else:
        places = random_.integers(0, side, (draw.choice([4, 8, 16]), 2))
        palette = photo[places[:, 0], places[:, 1]].astype(np.float64)
    outline = draw.choice([0, 0, 1, 2, 4])
    ink = draw.choice([(0, 0, 0), (20, 10, 40), (250, 245, 235)])
    seen = cv2.GaussianBlur(photo, (0, 0), 4).astype(np.float64)
    canvas: Rgb = np.full_like(photo, np.clip(palette[0], 0, 255).astype(np.uint8))
    sizes = np.sort(random_.uniform(largest / 5, largest, round(7 * (side / largest) ** 2) + 6))
    for size in sizes[::-1]:
        place = random_.uniform(0, side, 2)
        x, y = np.minimum(place, side - 1).astype(int).tolist()
        order = ((palette - seen[y, x]) ** 2).sum(axis=1).argsort()
        colour = palette[order[0 if random_.random() < 0.7 else -1]].tolist()
        _put(canvas, random_.choice(kinds), place, float(size), colour, ink, outline, random_)
    return canvas


def hatched(photo: Rgb, draw: random.Random) -> Rgb:
    """Lines or dots of ink on paper, denser or broader where the photo is dark."""
    side = photo.shape[0]
    random_ = np.random.default_rng(draw.getrandbits(32))
    tone = cv2.GaussianBlur(photo.mean(axis=2).astype(np.float32) / 255, (0, 0), 2)
    period = draw.choice([5.0, 7.0, 10.0, 14.0])
    y, x = np.mgrid[:side, :side].astype(np.float32)
    wobble = _noise(side, 16, 1, 0.0, random_) * draw.choice([0.2, 0.8])
    coverage = np.zeros((side, side), np.float32)
    first = draw.uniform(0, np.pi)
    is_dotted = draw.random() < 0.3
    layers = 1 if is_dotted else draw.choice([1, 2, 3])
    for layer in range(layers):
        angle = first + layer * np.pi / draw.choice([2, 3])
        phase = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period
        wave = np.cos(phase + wobble)
        if is_dotted:
            wave = (wave + np.cos((y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period)) / 2
        # Each layer begins at a darker tone.
        wanted = np.clip(1.15 - tone - layer * 0.7 / layers, 0, 1)
        edge = 1 - 2 * wanted
        coverage = np.maximum(coverage, np.clip((wave - edge) * period / 4 + 0.5, 0, 1))
    paper = np.array(draw.choice([(250, 246, 235), (235, 220, 190), (255, 255, 255)]), np.float32)
    ink = np.array(draw.choice([(20, 18, 22), (60, 35, 20), (25, 30, 80)]), np.float32)
    if draw.random() < 0.4:
        paper = photo.astype(np.float32) * 0.5 + paper * 0.5
    share = coverage[..., None]
    return np.asarray(np.rint(paper * (1 - share) + ink * share), np.uint8)


def drawn(photo: Rgb, draw: random.Random) -> Rgb:
    """Soft tones in chalk or on a stone: the grain of paper, strokes along forms, dark edges."""
    side = photo.shape[0]
    random_ = np.random.default_rng(draw.getrandbits(32))
    tone = photo.mean(axis=2).astype(np.float32) / 255
    around = cv2.GaussianBlur(tone, (0, 0), side * draw.uniform(0.02, 0.1))
    tone = np.clip(0.5 + (tone - 0.5) * draw.uniform(0.8, 1.5), 0, 1)
    # Light is left out around dark forms, dark laid on beside light ones.
    tone = tone + (tone - around) * draw.uniform(0, 1.2)
    edges = cv2.GaussianBlur(cv2.magnitude(*_slopes(tone)), (0, 0), draw.choice([0.6, 1.0, 1.6]))
    tone = tone - edges * draw.uniform(0, 0.25)
    grain = _noise(side, draw.choice([1, 2, 3]), 1, 0.0, random_)
    strokes = _streaks(_directions(photo, draw, random_), random_)
    share = draw.random()
    # Most to be seen in the tones between: paper stays paper, black stays black.
    weight = 4 * np.clip(tone, 0, 1) * (1 - np.clip(tone, 0, 1)) + 0.15
    tone = tone + weight * (share * grain + (1 - share) * strokes) * draw.choice([0.06, 0.12, 0.22])
    dark, light = draw.choice(
        [
            ((18, 16, 18), (245, 240, 228)),
            ((60, 30, 18), (236, 214, 180)),
            ((10, 12, 20), (205, 205, 200)),
        ]
    )
    place = np.clip(tone, 0, 1)[..., None]
    ink, paper = np.array(dark, np.float32), np.array(light, np.float32)
    return np.asarray(np.rint(paper * place + ink * (1 - place)), np.uint8)


def _vivid(photo: Rgb, strength: float) -> Rgb:
    """`photo` with its colours that many times as far from grey."""
    values = photo.astype(np.float32)
    grey = values.mean(axis=2, keepdims=True)
    return np.asarray(np.rint(np.clip(grey + (values - grey) * strength, 0, 255)), np.uint8)


def _slopes(tone: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    across, down = (cv2.Sobel(tone, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _put(
    canvas: Rgb,
    kind: str,
    place: NDArray[np.float64],
    size: float,
    colour: Sequence[float],
    ink: Sequence[float],
    outline: int,
    random_: np.random.Generator,
) -> None:
    """Draw a shape of about `size` pixels, with an outline of so many pixels."""
    centre = (round(place[0]), round(place[1]))
    half = max(1, round(size / 2))
    if kind == "polygon":
        angles = np.sort(random_.uniform(0, 2 * np.pi, int(random_.integers(3, 7))))
        reach = half * random_.uniform(0.6, 1.3, len(angles))
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None] + place
        points = [np.rint(corners).astype(np.int32)]
        cv2.fillPoly(canvas, points, colour, cv2.LINE_AA)
        if outline:
            cv2.polylines(canvas, points, True, ink, outline, cv2.LINE_AA)
    elif kind == "arc":
        begin, turn = random_.uniform(0, 360, 2)
        width = max(2, round(size * random_.uniform(0.08, 0.25)))
        arc = (centre, (half, half), turn, begin, begin + 220)
        if outline:
            cv2.ellipse(canvas, *arc, ink, width + 2 * outline, cv2.LINE_AA)
        cv2.ellipse(canvas, *arc, colour, width, cv2.LINE_AA)
    else:
        cv2.circle(canvas, centre, half, colour, cv2.FILLED, cv2.LINE_AA)
        if outline:
            cv2.circle(canvas, centre, half, ink, outline, cv2.LINE_AA)


def _nearest(points: NDArray[np.float64], side: int) -> NDArray[np.int32]:
    """Which of `points` (x, y) is nearest to each pixel: numbers from 1, [S, S]."""
    # What lies outside is drawn to a frame's edge: the frame is wider than the picture.
    whole = side + 2 * _FRAME_PX
    places = np.clip(np.rint(points) + _FRAME_PX, 0, whole - 1).astype(np.int64)
    free = np.ones((whole, whole), np.uint8)
    free[places[:, 1], places[:, 0]] = 0
    labels = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, cv2.DIST_MASK_5)[1]
    return np.asarray(labels[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX], np.int32)


def _mean_colours(photo: Rgb, labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """The mean of `photo` under each of `labels`, [1 + the largest, 3]."""
    flat = labels.reshape(-1)
    counts = np.maximum(np.bincount(flat), 1)
    sums = [np.bincount(flat, photo[..., c].reshape(-1).astype(np.float64)) for c in range(3)]
    return np.stack(sums, axis=1) / counts[:, None]


def _seams(labels: NDArray[np.int32], width_px: int) -> NDArray[np.float32]:
    """Where one label ends and another begins, softly, shares [S, S]."""
    seam = cv2.morphologyEx(
        labels.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)
    )
    seam = cv2.dilate((seam > 0).astype(np.float32), np.ones((width_px, width_px), np.uint8))
    return np.asarray(cv2.GaussianBlur(seam, (0, 0), 0.6), np.float32)


def _fixed_point(place: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.rint(place * (1 << _SHIFT)).astype(int).tolist()
    return x, y


def _directions(
    photo: Rgb, draw: random.Random, random_: np.random.Generator
) -> NDArray[np.float32]:
    """Where paint goes, angles [S, S]: along forms, nearly straight, or in swirls."""
    side = photo.shape[0]
    kind = draw.choice(["forms", "forms", "straight", "swirls"])
    if kind == "forms":
        grey = photo.mean(axis=2).astype(np.float32)
        across, down = (cv2.Scharr(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
        # The structure tensor, whose smaller eigenvalue's direction runs along edges.
        blurred = [
            cv2.GaussianBlur(product, (0, 0), max(1.0, side * _FORMS))
            for product in (across * across - down * down, 2 * across * down)
        ]
        return np.asarray(np.arctan2(blurred[1], blurred[0]) / 2 + np.pi / 2, np.float32)
    grain = max(8, side // draw.choice([2, 4]))
    spread = 0.25 if kind == "straight" else 1.5
    return np.asarray(
        draw.uniform(0, np.pi) + spread * _noise(side, grain, 1, 0.0, random_), np.float32
    )


def _streaks(
    directions: NDArray[np.float32], random_: np.random.Generator, steps: int = 6
) -> NDArray[np.float32]:
    """Noise smeared along `directions` [S, S], of deviation 1 (Cabral and Leedom 1993)."""
    side = directions.shape[0]
    noise = random_.standard_normal(directions.shape).astype(np.float32)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    across, down = np.cos(directions), np.sin(directions)
    total = np.zeros_like(noise)
    for step in range(-steps, steps + 1):
        total += cv2.remap(
            noise, x + step * across, y + step * down, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT
        )
    return np.asarray(total / max(float(total.std()), 1e-6), np.float32)


def _noise(
    side_px: int, grain: int, stretch: int, turn_degrees: float, random_: np.random.Generator
) -> NDArray[np.float32]:
    """Smooth noise [S, S] of deviation about 1, grains of that size, stretched and turned."""
    shape = (2 * side_px // grain + 2, 2 * side_px // (grain * stretch) + 2)
    field = random_.standard_normal(shape).astype(np.float32)
    sides = (2 * side_px, 2 * side_px)
    field = np.asarray(cv2.resize(field, sides, interpolation=cv2.INTER_CUBIC), np.float32)
    turn = cv2.getRotationMatrix2D((side_px, side_px), turn_degrees, 1.0)
    field = np.asarray(cv2.warpAffine(field, turn, sides, borderMode=cv2.BORDER_REFLECT_101))
    start = side_px // 2
    return field[start : start + side_px, start : start + side_px]
