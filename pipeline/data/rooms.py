"""Responses of rooms, by the image method of pyroomacoustics (Allen and Berkley, 1979), which the extra ``train`` installs."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import fftconvolve

from export_specs.foundation.errors import UserError
from pipeline.data.augmentation import Rooms
from pipeline.data.mixing import Waveform

LEAST_METRES, GREATEST_METRES = np.array([3.0, 3.0, 2.4]), np.array([8.0, 6.0, 3.5])
FROM_WALL = 0.5  # metres
PLACES = 4  # of sources in each room
ORDER = 12  # of reflections, at most: the later ones of a large room with hard walls are left out, since their number grows as its cube
ATTEMPTS = 100


class RoomResponses:
    """The responses of ``settings.number`` rooms, each from several places to one microphone; the same every time.

    Raises:
        UserError: pyroomacoustics is not installed.
    """

    def __init__(self, settings: Rooms, sample_rate: int) -> None:
        acoustics = _pyroomacoustics()
        self.rooms = [_room(acoustics, settings, sample_rate, np.random.default_rng(room)) for room in range(settings.number)]

    def reverberant(self, sources: Waveform, random: np.random.Generator) -> Waveform:
        """The sources [S, T] at different places of a random room, each at the power that it had; what sounds on after T is cut."""
        responses = self.rooms[random.integers(len(self.rooms))]
        places = random.permutation(len(responses))[: len(sources)]
        heard = np.stack([_at_power_of(source, responses[place]) for source, place in zip(sources, places, strict=True)])
        return heard.astype(np.float32)


def _at_power_of(source: Waveform, response: np.ndarray) -> np.ndarray:
    heard: np.ndarray = fftconvolve(source, response)[: len(source)]
    power = np.mean(np.square(heard, dtype=np.float64))
    return heard * np.sqrt(np.mean(np.square(source, dtype=np.float64)) / power) if power > 0 else heard


def _pyroomacoustics() -> Any:
    try:
        import pyroomacoustics
    except ImportError as error:
        raise UserError("rooms need pyroomacoustics: `pip install -r requirements/train.lock` installs it, or leave rooms out") from error
    return pyroomacoustics


def _room(acoustics: Any, settings: Rooms, sample_rate: int, random: np.random.Generator) -> list[np.ndarray]:
    """Responses from ``PLACES`` places of one room, without the time that sound takes on the direct way."""
    for _ in range(ATTEMPTS):
        size = random.uniform(LEAST_METRES, GREATEST_METRES)
        try:
            absorption, order = acoustics.inverse_sabine(random.uniform(*settings.rt60_seconds), size)
        except ValueError:  # so large a room sounds longer whatever its walls are
            continue
        room = acoustics.ShoeBox(size, fs=sample_rate, materials=acoustics.Material(absorption), max_order=min(order, ORDER))
        room.add_microphone(random.uniform(FROM_WALL, size - FROM_WALL))
        for _ in range(PLACES):
            room.add_source(random.uniform(FROM_WALL, size - FROM_WALL))
        room.compute_rir()
        return [response[int(np.argmax(np.abs(response))) :].astype(np.float32) for response in room.rir[0]]
    raise UserError(f"rooms: no room of {LEAST_METRES} to {GREATEST_METRES} m sounds as short as rt60_seconds {settings.rt60_seconds}")
