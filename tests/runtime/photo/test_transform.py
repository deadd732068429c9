"""Whitening and colouring: the statistics that come out are the reference's, label by label."""

import numpy as np
import pytest

from edge_style.photo.transform import (
    TRANSFORMS,
    linear_map,
    measure,
    measure_regions,
    transfer,
)


def features(channels: int, height: int, width: int, seed: int) -> np.ndarray:
    """Correlated features [C, H, W] with a mean."""
    generator = np.random.default_rng(seed)
    mix = generator.normal(size=(channels, channels))
    flat = mix @ generator.normal(size=(channels, height * width))
    offset = generator.normal(size=(channels, 1)) * 3
    return (flat + offset).reshape(channels, height, width).astype(np.float32)


def covariance(values: np.ndarray) -> np.ndarray:
    return np.cov(values.reshape(len(values), -1), bias=True)


def test_measured_statistics_are_numpys():
    values = features(5, 300, 300, 0)  # more pixels than a chunk
    found = measure(values.reshape(5, -1))
    np.testing.assert_allclose(found.mean, values.reshape(5, -1).mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(found.covariance, covariance(values), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_whitened_covariance_is_the_identity(transform):
    own = covariance(features(6, 40, 40, 1))
    matrix = linear_map(own, np.eye(6), transform)
    np.testing.assert_allclose(matrix @ own @ matrix.T, np.eye(6), atol=1e-6)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transferred_statistics_are_the_references(transform):
    photo, reference = features(6, 40, 50, 2), features(6, 30, 20, 3)
    changed = transfer(photo, None, measure_regions(reference, None), transform)
    assert changed.shape == photo.shape
    np.testing.assert_allclose(covariance(changed), covariance(reference), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        changed.mean(axis=(1, 2)), reference.mean(axis=(1, 2)), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_photo_in_its_own_light_stays(transform):
    photo = features(6, 40, 50, 4)
    changed = transfer(photo, None, measure_regions(photo, None), transform)
    np.testing.assert_allclose(changed, photo, atol=2e-2)


def test_transport_moves_less_than_whitening():
    photo, reference = features(8, 40, 50, 5), features(8, 40, 50, 6)
    wanted = measure_regions(reference, None)
    moved = {
        name: np.square(transfer(photo, None, wanted, name) - photo).mean() for name in TRANSFORMS
    }
    assert moved["transport"] < moved["whitening"]


def test_each_label_gets_its_own_and_no_others():
    photo = features(4, 40, 40, 7)
    reference = features(4, 40, 40, 8)
    reference[:, 20:] = 5 * reference[:, 20:] + 50
    labels = np.zeros((40, 40), np.int32)
    labels[:, 25:] = 1
    reference_labels = np.zeros((40, 40), np.int32)
    reference_labels[20:] = 1
    changed = transfer(photo, labels, measure_regions(reference, reference_labels))
    for label, part in ((0, reference[:, :20]), (1, reference[:, 20:])):
        inside = changed[:, labels == label]
        np.testing.assert_allclose(
            np.cov(inside, bias=True), covariance(part), rtol=2e-3, atol=2e-3
        )
        np.testing.assert_allclose(inside.mean(axis=1), part.mean(axis=(1, 2)), atol=1e-2)


def test_a_label_without_a_partner_or_pixels_stays():
    photo = features(4, 20, 20, 9)
    labels = np.zeros((20, 20), np.int32)
    labels[0, :3] = 1  # too few pixels
    labels[10:] = 2  # not in the reference
    reference = measure_regions(features(4, 20, 20, 10), np.where(np.eye(20) > 0, 1, 0))
    changed = transfer(photo, labels, reference)
    np.testing.assert_array_equal(changed[:, labels > 0], photo[:, labels > 0])
    assert np.abs(changed[:, labels == 0] - photo[:, labels == 0]).mean() > 0.1


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_directions_that_do_not_vary_do_no_harm(transform):
    photo = features(6, 30, 30, 13)
    photo[3] = 2.0  # a dead channel
    photo[5] = photo[4]  # and one that says nothing new
    changed = transfer(photo, None, measure_regions(features(6, 30, 30, 14), None), transform)
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() < 100


def test_one_colour_becomes_the_mean():
    photo = np.ones((4, 20, 20), np.float32)
    reference = features(4, 20, 20, 15)
    changed = transfer(photo, None, measure_regions(reference, None))
    np.testing.assert_allclose(
        changed,
        np.broadcast_to(reference.mean(axis=(1, 2))[:, None, None], changed.shape),
        atol=1e-3,
    )
