"""How much of everything one run does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """``limit_seconds`` bounds the whole run; ``*_seconds`` and counts are those of the measurements."""

    limit_seconds: int
    uplink_sessions: int
    paced_rates: tuple[int, ...]
    paced_packets: int
    idle_packets: int
    fill_seconds: float
    loss_seconds: float
    loss_steps: int
    playing: int
    playing_frames: int
    hello_devices: int
    hello_seconds: float
    quiet_hellos: int
    idle_connections: int
    anatomy_packets: int
    conversations: int
    conversation_turns: int
    console_devices: int
    console_sessions: int
    console_streams: int
    console_seconds: float


FULL = Scale(
    limit_seconds=300,
    uplink_sessions=100,
    paced_rates=(8_000, 20_000),
    paced_packets=200_000,
    idle_packets=100_000,
    fill_seconds=3.0,
    loss_seconds=3.5,
    loss_steps=6,
    playing=500,
    playing_frames=134,
    hello_devices=500,
    hello_seconds=5.0,
    quiet_hellos=200,
    idle_connections=2_000,
    anatomy_packets=20_000,
    conversations=50,
    conversation_turns=5,
    console_devices=1_000,
    console_sessions=200,
    console_streams=20,
    console_seconds=10.0,
)

QUICK = Scale(
    limit_seconds=90,
    uplink_sessions=50,
    paced_rates=(20_000,),
    paced_packets=30_000,
    idle_packets=20_000,
    fill_seconds=0.7,
    loss_seconds=0.7,
    loss_steps=2,
    playing=100,
    playing_frames=60,
    hello_devices=50,
    hello_seconds=1.0,
    quiet_hellos=30,
    idle_connections=200,
    anatomy_packets=5_000,
    conversations=20,
    conversation_turns=1,
    console_devices=300,
    console_sessions=100,
    console_streams=20,
    console_seconds=4.0,
)

TINY = Scale(
    limit_seconds=40,
    uplink_sessions=10,
    paced_rates=(4_000,),
    paced_packets=2_000,
    idle_packets=2_000,
    fill_seconds=0.2,
    loss_seconds=0.2,
    loss_steps=1,
    playing=10,
    playing_frames=20,
    hello_devices=10,
    hello_seconds=0.3,
    quiet_hellos=10,
    idle_connections=20,
    anatomy_packets=1_000,
    conversations=4,
    conversation_turns=1,
    console_devices=20,
    console_sessions=5,
    console_streams=2,
    console_seconds=1.0,
)
"""For the smoke test: every path once, no figure worth reading."""
