"""What real boards take for what they do, in microseconds: the boards that `--board` chooses between.

RP2040: the node's own times were measured on MicroPython 1.28 for the chip, in an emulator near a real one's speed,
with frames of 46 bytes: received with news, with nothing new, replayed, forged, of another swarm, built, COBS encoded,
and a tick of the runner that works, besides its frames. (One that finds nothing to do takes 80 us.) Before it asks
whether to speak such a tick takes 430 us, and 1100 more when the node becomes ready and concludes. Each bit of news but
the first takes 0.2 ms; an echo 0.17 ms to be built into a frame, besides 0.2 ms for all of them, and 0.11 ms to be
looked at by who does not know all sessions yet.
Reckoned from what `swarm bench --device-code` prints for the unix port, at the upper end, is a heartbeat by hand, which
has neither tag nor session (1.2 to 1.5 XOR loops of 177 us received, 0.4 to 0.6 built). Assumed are a longer frame's
bytes (bitmaps are gone through byte by byte), the tick of a program by hand, a third of ours, and what the links do: a
byte moved off the line, a loop in bytecode, a packet asked of a radio or given to it as 0.2 ms by ESP-NOW, in
which are the 50 us that the link waits for one half written, and 0.4 ms through the sockets of a board that has none.

ESP32: none was measured. At 240 MHz it runs MicroPython about as fast as an RP2040, or up to 1.5 times as fast; the
slower end is taken, so that with the link a frame with news is 2 ms of work. Assumed is also that its radio reports
each tenth frame up to 4 ms late, since another task tells, and an ideal board's none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LENGTH = 46  # of the frames that were measured
XOR_US = 177  # a plain loop over 16 bytes, the unit in which runtimes are compared


@dataclass(frozen=True)
class Profile:
    """One kind of board; all times in microseconds.

    radio_us: a packet taken from the radio or given to it; late_reports: the share of frames of which the radio tells
    late that they have left; period_us: of the timer from which it hears and speaks;
    tick_us: a tick besides its frames, and before_us of it what comes before it speaks; ready_us: besides, once, when
    the sensor is ready; bit_us: a bit of news after the first; look_us: an echo looked at; echoes_us and echo_us: any
    echoes built, and each; news_us, same_us (nothing new), replayed_us, forged_us, refused_us: a frame
    received, by what comes of it; build_us: one built; longer_us: each byte above 46 of one received; hand_receive_us
    and hand_build_us: the same of protocols without tags, and hand_tick_us their tick; encode_us and decode_us: a byte
    of a frame for the line and off it.
    """

    radio_us: int
    late_reports: float = 0.1
    period_us: int = 2000
    tick_us: int = 1030
    before_us: int = 430
    ready_us: int = 1100
    bit_us: int = 200
    look_us: int = 110
    echoes_us: int = 200
    echo_us: int = 170
    news_us: int = 1760
    same_us: int = 1050
    replayed_us: int = 490
    forged_us: int = 900
    refused_us: int = 260
    build_us: int = 830
    longer_us: int = 10
    hand_receive_us: int = 270
    hand_build_us: int = 100
    hand_tick_us: int = 300
    encode_us: int = 7
    decode_us: int = 10

    @property
    def tag_us(self) -> int:
        """A tag made or checked: what a forged frame takes more than one that is refused before its tag is seen."""
        return self.forged_us - self.refused_us


RP2040 = Profile(radio_us=400)
ESP32 = replace(RP2040, radio_us=200)
IDEAL = "ideal"
PROFILES = {"esp32": ESP32, "rp2040": RP2040}
BOARDS = (*PROFILES, IDEAL)
MEASURED = {  # what `swarm bench --device-code` prints beside its own, by its names
    "xor_loop": XOR_US,
    "receive": RP2040.news_us,
    "receive_same": RP2040.same_us,
    "receive_forged": RP2040.forged_us,
    "receive_replayed": RP2040.replayed_us,
    "build": RP2040.build_us,
    "cobs_encode": 280,
    "idle_tick": 80,
}
