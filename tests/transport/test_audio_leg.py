"""The UDP leg of a session: what it believes and what it refuses (PROTOCOL.md 5)."""

from __future__ import annotations

import os

import pytest

from app.opus.packet import MAX_FRAME
from app.protocol.audio_packet import HEADER_SIZE, AudioPacket
from app.transport.audio_leg import MAX_LEAP, MAX_TOCS
from tests.transport.uplink_device import (
    ELSEWHERE,
    HOME,
    HYBRID_20,
    SILK_20,
    SILK_60,
    SILK_60_STEREO,
    SSRC,
    THIRD,
    UplinkDevice,
    opus,
)

CELT_20 = 0xB8


@pytest.fixture
def device() -> UplinkDevice:
    return UplinkDevice()


def test_packets_are_decrypted_and_delivered_in_order_of_arrival(device: UplinkDevice) -> None:
    device.send(1, 2, 4, 3)
    assert device.delivered == [(number, opus(number)) for number in (1, 2, 4, 3)]
    assert (device.figures.accepted, device.figures.reordered) == (4, 1)


def test_the_address_is_that_of_the_first_packet(device: UplinkDevice) -> None:
    assert device.leg.address is None
    device.send(1)
    assert device.leg.address == HOME


def test_a_packet_is_accepted_once(device: UplinkDevice) -> None:
    device.send(1, 2, 2, 1, 2)
    assert device.heard == [1, 2]
    assert device.figures.replayed == 3


def test_a_packet_older_than_the_window_is_refused(device: UplinkDevice) -> None:
    device.send(1, 100, 36)
    assert device.heard == [1, 100]
    device.send(37)
    assert device.heard == [1, 100, 37]
    assert device.figures.replayed == 1


def test_a_gap_counts_as_lost(device: UplinkDevice) -> None:
    device.send(1, 5, 6)
    assert device.figures.lost == 3


def test_noise_from_home_changes_nothing(device: UplinkDevice) -> None:
    device.send(1, 2, 3)
    for sequence in range(4, 40):
        device.arrive(device.datagram(sequence, b"\x03\x00 no Opus"))
    assert device.figures.implausible == 36
    device.send(4, 5, 6)
    assert device.heard == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("toc", [SILK_20, CELT_20, HYBRID_20, SILK_60_STEREO])
def test_packets_of_another_duration_or_more_channels_than_hello_said_are_refused(device: UplinkDevice, toc: int) -> None:
    device.send(1, 2)
    device.send(3, 4, 5, 6, 7, toc=toc)
    assert device.heard == [1, 2]
    assert device.figures.implausible == 5
    assert device.leg.implausible == 5


def test_a_frame_longer_than_opus_has_is_refused_whatever_went_before(device: UplinkDevice) -> None:
    device.send(1, 2)
    device.arrive(device.datagram(3, bytes([SILK_60]) + bytes(MAX_FRAME + 1)))
    assert device.heard == [1, 2]
    assert device.figures.implausible == 1
    device.arrive(device.datagram(4, bytes([SILK_60]) + bytes(MAX_FRAME)))
    assert device.heard == [1, 2, 4]


def test_an_encoder_that_changes_its_mode_is_followed_without_loss() -> None:
    device = UplinkDevice(frame_duration_ms=20)
    device.send(1, 2, toc=SILK_20)
    device.send(3, 4, 5, toc=CELT_20)
    device.send(6, toc=SILK_20)
    device.send(7, 8, toc=HYBRID_20)
    assert device.heard == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_rare_mode_among_others_is_believed_the_second_time() -> None:
    device = UplinkDevice(frame_duration_ms=20)
    device.send(1, 2, 3, toc=SILK_20)
    device.send(4, toc=CELT_20)
    device.send(*range(5, 30), toc=SILK_20)
    device.send(30, toc=CELT_20)
    assert sorted(device.heard) == list(range(1, 31))


def test_a_session_uses_no_more_than_so_many_modes() -> None:
    device = UplinkDevice(frame_duration_ms=20, channels=2)
    sequence = 0
    tocs = [config << 3 | stereo for config in (1, 5, 9, 13, 15, 19, 23, 27, 31) for stereo in (0, 4)]
    for toc in tocs:
        device.send(sequence + 1, sequence + 2, toc=toc)
        sequence += 2
    assert len(tocs) > MAX_TOCS
    assert len(device.heard) == 2 * MAX_TOCS


# A changed address


def test_a_device_that_roams_is_believed_after_four_packets_and_loses_none(device: UplinkDevice) -> None:
    device.send(1, 2)
    device.send(3, 4, 5, address=ELSEWHERE)
    assert device.leg.address == HOME
    assert device.figures.held == 3
    device.send(6, 7, address=ELSEWHERE)
    assert device.leg.address == ELSEWHERE
    assert device.heard == [1, 2, 3, 4, 5, 6, 7]
    assert device.figures.roamed == 1


def test_a_device_that_roams_loses_nothing_when_a_few_packets_are_lost_on_the_way(device: UplinkDevice) -> None:
    device.send(1, 2)
    device.send(4, 7, 8, 12, address=ELSEWHERE)
    assert device.leg.address == ELSEWHERE
    assert device.heard == [1, 2, 4, 7, 8, 12]


def test_replayed_packets_from_elsewhere_do_not_move_the_address(device: UplinkDevice) -> None:
    device.send(*range(1, 20))
    device.send(*range(1, 20), address=ELSEWHERE)
    assert device.leg.address == HOME
    assert device.figures.replayed == 19


def test_late_but_unseen_packets_from_elsewhere_do_not_move_the_address(device: UplinkDevice) -> None:
    device.send(1, *range(10, 20))
    device.send(2, 3, 4, 5, 6, address=ELSEWHERE)
    assert device.leg.address == HOME
    assert device.figures.implausible == 5


def test_copies_that_overtake_the_device_s_own_packets_do_not_move_the_address(device: UplinkDevice) -> None:
    device.send(1)
    for sequence in range(2, 60):
        device.send(sequence, address=ELSEWHERE)
        device.send(sequence)
    assert device.leg.address == HOME
    assert device.heard == list(range(1, 60))


def test_noise_under_the_right_ssrc_from_elsewhere_does_not_move_the_address(device: UplinkDevice) -> None:
    device.send(1, 2, 3)
    for sequence in range(4, 3000):
        device.arrive(AudioPacket(SSRC, 0, sequence, os.urandom(30)).encode(), ELSEWHERE)
    assert device.leg.address == HOME
    assert device.heard == [1, 2, 3]


def test_a_thief_who_tries_all_values_of_the_first_byte_does_not_move_the_address(device: UplinkDevice) -> None:
    # Under CTR one of 256 one-byte payloads decrypts to the TOC byte; the 255 others have to break the row.
    device.send(1, 2, 3)
    for sequence in range(4, 40):
        for guess in range(256):
            device.arrive(AudioPacket(SSRC, 0, sequence, bytes([guess])).encode(), ELSEWHERE)
    assert device.leg.address == HOME
    assert device.heard == [1, 2, 3]


def test_a_row_from_elsewhere_is_not_broken_by_a_stranger_s_noise(device: UplinkDevice) -> None:
    device.send(1, 2)
    for sequence in range(3, 7):
        device.send(sequence, address=ELSEWHERE)
        device.arrive(AudioPacket(SSRC, 0, sequence + 1, b"\x03\x00 noise").encode(), THIRD)
    assert device.leg.address == ELSEWHERE
    assert device.heard == [1, 2, 3, 4, 5, 6]


def test_noise_before_the_first_packet_does_not_lock_the_device_out(device: UplinkDevice) -> None:
    # One random payload in 25 is well-formed Opus of 60 ms: a stranger who knows the ssrc may come before the device.
    silk_narrowband_60 = 0x18
    device.send(200, address=ELSEWHERE, toc=silk_narrowband_60)
    device.send(*range(1, 21))
    assert device.leg.address == HOME
    assert device.heard[-10:] == list(range(11, 21))


# A leap of the sequence


def test_a_leap_from_home_is_believed_after_four_packets(device: UplinkDevice) -> None:
    device.send(1, 2)
    far = 2 + MAX_LEAP + 1
    device.send(far, far + 1, far + 2)
    assert device.heard == [1, 2]
    device.send(far + 3)
    assert device.heard == [1, 2, far, far + 1, far + 2, far + 3]
    assert device.figures.lost == MAX_LEAP


def test_one_packet_with_a_far_sequence_does_not_move_the_window(device: UplinkDevice) -> None:
    device.send(1, 2)
    device.send(0xFFFFFFFF)
    device.send(3, 4)
    assert device.heard == [1, 2, 3, 4]


def test_a_first_packet_with_a_far_sequence_is_held(device: UplinkDevice) -> None:
    device.send(5000)
    assert device.leg.address is None
    device.send(1, 2)
    assert device.heard == [1, 2]


# Timestamps


@pytest.mark.parametrize("stamps", [[0] * 6, [7] * 6, [60, 120, 180, 240, 300, 360]])
def test_timestamps_that_are_constant_or_grow_are_plausible(device: UplinkDevice, stamps: list[int]) -> None:
    for sequence, stamp in enumerate(stamps, 1):
        device.send(sequence, timestamp=stamp)
    assert device.figures.timestamp_implausible == 0
    assert len(device.heard) == 6


def test_the_timestamp_of_a_frame_we_sent_is_plausible(device: UplinkDevice) -> None:
    device.leg.seal([b"\x58frame"] * 4)
    for sequence, stamp in enumerate([240, 60, 120], 1):
        device.send(sequence, timestamp=stamp)
    assert device.figures.timestamp_implausible == 0


def test_an_implausible_timestamp_is_counted_and_its_packet_processed(device: UplinkDevice) -> None:
    for sequence, stamp in enumerate([0, 500, 77, 600], 1):
        device.send(sequence, timestamp=stamp)
    assert device.figures.timestamp_implausible == 1
    assert device.heard == [1, 2, 3, 4]


def test_what_is_sealed_can_be_opened_by_the_device_and_not_be_reflected(device: UplinkDevice) -> None:
    datagrams = device.leg.seal([opus(1), opus(2)])
    assert [device.cipher.apply(each[:HEADER_SIZE], each[HEADER_SIZE:]) for each in datagrams] == [opus(1), opus(2)]
    assert all(each[1] & 0x80 for each in datagrams)


@pytest.mark.parametrize("stranger_sequence", [1, 2, 200])
def test_a_stranger_with_the_right_toc_before_the_first_packet_does_not_lock_the_device_out(
    device: UplinkDevice, stranger_sequence: int
) -> None:
    device.send(stranger_sequence, address=ELSEWHERE)
    device.send(*range(1, 21))
    assert device.leg.address == HOME
    assert device.heard[-10:] == list(range(11, 21))


def test_copies_of_the_first_packets_from_elsewhere_do_not_take_over(device: UplinkDevice) -> None:
    for sequence in range(1, 12):
        device.send(sequence)
        device.send(*range(1, sequence + 1), address=ELSEWHERE)
    assert device.leg.address == HOME
    assert device.heard == list(range(1, 12))


# What is measured of it


def test_what_is_accepted_is_received_and_what_is_missing_is_known(device: UplinkDevice) -> None:
    device.send(1, 2, 5, 3, 3)
    reception = device.leg.reception
    assert (reception.packets, reception.lost, reception.late, reception.missing) == (4, 2, 1, 1)


def test_what_is_refused_is_not_received(device: UplinkDevice) -> None:
    device.send(1, 2)
    device.send(3, toc=SILK_60_STEREO)
    device.send(4, address=ELSEWHERE)
    assert device.leg.reception.packets == 2


def test_packets_in_time_have_no_jitter_and_late_ones_do(device: UplinkDevice) -> None:
    for sequence in range(1, 40):
        device.now = sequence * 0.06
        device.send(sequence)
    assert device.leg.reception.jitter_ms == pytest.approx(0, abs=1e-6)
    device.now += 0.06 + 0.032
    device.send(40)
    assert device.leg.reception.jitter_ms == pytest.approx(2)


def test_a_strangers_first_packet_counts_for_nothing_once_the_device_has_come(device: UplinkDevice) -> None:
    device.send(200, address=ELSEWHERE)
    assert device.leg.reception.lost == 199
    device.send(*range(1, 21))
    assert (device.leg.reception.lost, device.leg.reception.packets) == (0, 20)
