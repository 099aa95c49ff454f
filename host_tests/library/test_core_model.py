"""Random commands against the machine and a model of plain sets, which must agree after each."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faction import names
from faction.core import Faction
from model import COMMANDS, Model

IDS = st.integers(0, 65535)


class Agreement(RuleBasedStateMachine):
    """Gives the same commands to both and compares results, outcomes, views and admissible commands."""

    @initialize(peers=st.lists(IDS, min_size=1, max_size=40, unique=True), data=st.data())
    def build(self, peers, data):
        self.peers = peers
        self.local = data.draw(st.sampled_from(peers))
        self.required = data.draw(st.integers(1, len(peers)))
        self.machine = Faction(self.local, peers, self.required)
        self.model = Model(self.local, peers, self.required)

    def both(self, command, peer_id=None):
        result = self.machine.process(COMMANDS.index(command), 0 if peer_id is None else peer_id)
        accepted = names.RESULTS[result] == "Accepted"
        assert {
            "result": names.RESULTS[result],
            "outcomes": names.outcomes(self.machine, peer_id) if accepted else [],
            "view": names.view(self.machine),
            "admissible": names.admissible(self.machine),
        } == self.model.process(command, peer_id)

    @rule(command=st.sampled_from(COMMANDS[:2]), data=st.data())
    def observe_member(self, command, data):
        self.both(command, data.draw(st.sampled_from(self.peers)))

    @rule(command=st.sampled_from(COMMANDS[:2]), peer_id=st.integers(-1, 70000))
    def observe_anyone(self, command, peer_id):
        self.both(command, peer_id)

    @rule(command=st.sampled_from(COMMANDS[:2]))
    def observe_local(self, command):
        self.both(command, self.local)

    @rule()
    def complete(self):
        self.both("LocalParticipationCompleted")

    # Rare, so that most runs get further than a deadline in their first steps.
    @precondition(lambda self: len(self.model.ready) > self.required // 2)
    @rule()
    def expire(self):
        self.both("DeadlineExpired")

    @rule()
    def probe(self):
        self.both("Probe")

    @precondition(lambda self: self.model.state in ("Bootstrapped", "TimedOut"))
    @rule()
    def start_over(self):
        self.machine.reset()
        self.model = Model(self.local, self.peers, self.required)

    @invariant()
    def the_quorum_decides(self):
        if self.model.state == "Bootstrapped":
            assert self.machine.completed and self.machine.collecting_count >= self.required
        if self.model.state == "Collecting":
            assert self.machine.collecting_count < self.required


TestAgreement = Agreement.TestCase
