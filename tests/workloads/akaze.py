# SPDX-License-Identifier: GPL-2.0-only
"""The origin's heavy native call: OpenCV's AKAZE on a generated picture. A worker keeps about 63 MiB of it."""
import cv2
import numpy


def make_picture(width=1280, height=720, seed=1):
    """Blurred noise with edges: thousands of key points, as a photograph has."""
    random = numpy.random.default_rng(seed)
    noise = random.integers(0, 256, (height // 8, width // 8), dtype=numpy.uint8)
    picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        corner = random.integers(0, (width - 100, height - 100))
        size = random.integers(10, 100, 2)
        cv2.rectangle(picture, tuple(map(int, corner)), tuple(map(int, corner + size)), int(random.integers(256)), 2)
    return picture


PICTURE = make_picture()


def count_key_points():
    key_points, _ = cv2.AKAZE_create().detectAndCompute(PICTURE, None)
    return len(key_points)
