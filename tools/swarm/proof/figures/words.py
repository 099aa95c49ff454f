"""What is said above the tables of figures, and their heads."""

HEAD = """\
| swarm | stranded / false / violations | wait | frames | until sampled | skew | bars | command |
|---|---|---|---|---|---|---|---|"""
SERIES_HEAD = """\
| swarm | stranded / false / violations | samples: all / late / missed | spread | frames a minute | rate | moves \
| bars | command |
|---|---|---|---|---|---|---|---|---|"""
REMOTE_HEAD = """\
| swarm | stranded / false / violations | named | false alarms | records: all / twice / lost / frames each | delay \
| backlog | frames a minute | bars | command |
|---|---|---|---|---|---|---|---|---|---|"""
REMOTE_WORDS = """\
With rounds of 30 s, and with a member that gathers the samples. Named: seconds from a member's death until another
names it, p50 / p99 / max. Delay: seconds from a sample until its record is at the gateway, whatever it comes by;
backlog: in how many it has fetched what was sampled before it came."""
SERIES_WORDS = """\
In series, a sample a minute unless it is said otherwise, 10 % loss, ESP32s and clocks of up to 50 ppm. Spread:
milliseconds between the samples of one beat, p50 / p99 / max over all beats, those of who joins late left out. Rate: by
how many ppm the swarm's clock ran faster than that of its fastest member, the most of all runs. Moves: how often a
clock was moved by more than 5 ms. A clock that runs wild is left out of the spread, and the others follow it by 250 ppm
at most."""
HONEST_WORDS = """\
The same on boards that cost what real ones cost, which is what `swarm sim` simulates unless it is told otherwise: they
hear and speak from a timer of 2 ms, work about 2 ms on a frame received and 1.3 ms on one built, hear nothing while
they work, and wait for the radio to send, which reports one frame in ten up to 4 ms late; what of it was measured and
what is assumed is said in `tools/swarm/sim/boards/profiles.py`. Heartbeats carry no tag, and are an eighth of the work;
those with a tag keep outsiders out as ours do, but for what is replayed, and take the time that it takes.
In a WiFi network an access point keeps broadcasts for its next beacon, each 102 ms, as while any client saves power."""
WORDS = """\
Wait: milliseconds from the last readiness to the last conclusion, p50 / p99 / max. Frames: of a node, until the last
conclusion, mean / max, and until the last first sample, mean. Skew: milliseconds between the first samples of a run,
p50 / p99 / max; early: by how much the first of them came before the instant that the first conclusion named. Unless a
row says otherwise all nodes hear each other by an honest ESP-NOW: the radio waits for 0 to 4 ms before each frame, and
stamps have 1 ms; boots fall in 2 s, and clocks run at up to 50 ppm off; with `--board ideal` the boards' own work takes
no time. Among random faults are cuts of the swarm in
two: both halves may rightly conclude, each with an instant of its own."""
