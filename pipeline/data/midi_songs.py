"""Songs made up from a random generator, as Standard MIDI Files, one for each of drums, bass and other."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

TICKS = 480  # a quarter note
DRUM_CHANNEL = 9
KICK, SNARE, CLOSED_HAT, OPEN_HAT, CRASH = 36, 38, 42, 46, 49
BASSES = tuple(range(32, 40))  # General MIDI programs, counted from 0
CHORD_PROGRAMS = (0, 4, 16, 24, 25, 27, 48, 50, 89)  # pianos, organ, guitars, strings, pads
LEAD_PROGRAMS = (11, 40, 56, 65, 71, 73, 80, 81)
PROGRESSIONS = ((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (1, 4, 0, 0), (0, 3, 0, 4), (0, 2, 3, 4))  # degrees of the scale
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))  # major, minor


@dataclass(frozen=True)
class Note:
    """``start`` and ``length`` in quarter notes."""

    start: float
    length: float
    pitch: int
    velocity: int
    channel: int


def compose(random: np.random.Generator, seconds: float) -> dict[str, bytes]:
    """MIDI files of the stems ``drums``, ``bass`` and ``other`` of one song in 4/4, at least ``seconds`` long."""
    tempo, key, scale = float(random.uniform(80, 150)), int(random.integers(12)), SCALES[random.integers(len(SCALES))]
    progression, bars = PROGRESSIONS[random.integers(len(PROGRESSIONS))], int(np.ceil(seconds * tempo / 240))
    chords = [[key + _degree(scale, progression[bar % len(progression)] + third) for third in (0, 2, 4)] for bar in range(bars)]
    melody = [key + _degree(scale, int(degree)) for degree in np.cumsum(random.integers(-2, 3, 8 * bars)) % 9]
    programs = (int(random.choice(CHORD_PROGRAMS)), int(random.choice(LEAD_PROGRAMS)))
    notes = {"drums": _drums(random, bars), "bass": _bass(random, chords), "other": _chords(random, chords) + _melody(random, melody)}
    settings = {"drums": {}, "bass": {0: int(random.choice(BASSES))}, "other": dict(enumerate(programs))}
    return {name: midi_file(notes[name], tempo, settings[name]) for name in notes}


def midi_file(notes: list[Note], tempo: float, programs: dict[int, int]) -> bytes:
    """A Standard MIDI File of format 0; ``tempo`` in quarter notes a minute, ``programs`` by channel."""
    events = [(0, b"\xff\x51\x03" + struct.pack(">I", round(60e6 / tempo))[1:])]
    events += [(0, bytes((0xC0 | channel, program))) for channel, program in programs.items()]
    sounding = [(round(n.start * TICKS), bytes((0x90 | n.channel, n.pitch, n.velocity))) for n in notes]
    ending = [(round((n.start + n.length) * TICKS), bytes((0x80 | n.channel, n.pitch, 0))) for n in notes]
    events += sorted(ending + sounding)  # at one time a note ends before the same one begins: 0x80 < 0x90
    track, now = b"", 0
    for time, event in [*events, (events[-1][0], b"\xff\x2f\x00")]:
        track, now = track + _variable_length(time - now) + event, time
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _drums(random: np.random.Generator, bars: int) -> list[Note]:
    kicks = [0.0, *(beat / 2 for beat in range(1, 8) if random.random() < 0.3)]
    snares, hats = ([1.0, 3.0] if random.random() < 0.8 else [2.0]), (0.5 if random.random() < 0.7 else 0.25)
    notes = []
    for bar in range(bars):
        hits = [(time, KICK, 105) for time in kicks] + [(time, SNARE, 100) for time in snares]
        hits += [(step * hats, OPEN_HAT if random.random() < 0.06 else CLOSED_HAT, 70) for step in range(int(4 / hats))]
        hits += [(0.0, CRASH, 90)] if bar % 8 == 0 else []
        hits += [(3.5, SNARE, 85), (3.75, SNARE, 90)] if bar % 4 == 3 else []
        notes += [Note(4 * bar + time, 0.2, pitch, _human(random, velocity), DRUM_CHANNEL) for time, pitch, velocity in hits]
    return notes


def _bass(random: np.random.Generator, chords: list[list[int]]) -> list[Note]:
    steps = [step / 2 for step in range(8) if step == 0 or random.random() < 0.6]
    ends = [*steps[1:], 4.0]
    return [
        Note(4 * bar + start, 0.9 * (end - start), 36 + chord[0] % 12 + (7 if random.random() < 0.15 else 0), _human(random, 95), 0)
        for bar, chord in enumerate(chords)
        for start, end in zip(steps, ends, strict=True)
    ]


def _chords(random: np.random.Generator, chords: list[list[int]]) -> list[Note]:
    arpeggio = random.random() < 0.5
    notes = []
    for bar, chord in enumerate(chords):
        pitches = [60 + pitch % 12 for pitch in chord]
        if arpeggio:
            notes += [Note(4 * bar + step / 2, 0.5, pitches[step % len(pitches)], _human(random, 75), 0) for step in range(8)]
        else:
            notes += [Note(4 * bar + half, 1.9, pitch, _human(random, 70), 0) for half in (0, 2) for pitch in pitches]
    return notes


def _melody(random: np.random.Generator, pitches: list[int]) -> list[Note]:
    return [Note(step / 2, 0.45, 72 + pitch % 24, _human(random, 80), 1) for step, pitch in enumerate(pitches) if random.random() < 0.45]


def _human(random: np.random.Generator, velocity: int) -> int:
    return int(np.clip(velocity + random.integers(-12, 13), 1, 127))


def _degree(scale: tuple[int, ...], degree: int) -> int:
    return scale[degree % 7] + 12 * (degree // 7)


def _variable_length(value: int) -> bytes:
    """MIDI's numbers of 7 bits a byte, the highest first, a set top bit in all but the last."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(0x80 | value & 0x7F)
    return bytes(reversed(parts))
