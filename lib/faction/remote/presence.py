"""Who is there: says whom the swarm has lost, and who is back. Loaded only where rounds are configured."""

from time import ticks_us


class Presence:
    """What a board tells of an app's rounds of round_ms: each change on the serial line, the rest in the status."""

    def __init__(self, app, round_ms):
        app.presence = self
        self.round_ms = round_ms
        self._app = app
        self._rounds = app.node.rounds
        self._changes = 0
        self._told = bytearray(len(self._rounds.lost))  # who is said to be lost

    def tick(self):
        """Say what has changed."""
        if self._changes != self._rounds.changes:
            self._changes = self._rounds.changes
            self._tell("lost", True)
            self._tell("back", False)

    def _tell(self, word, lost):
        """Say in one line, which may take half a second, who is lost now, or no more, and was said not to be."""
        words = []
        for i, peer_id in enumerate(self._app.node.machine.ids):
            bit = 1 << (i & 7)
            if bool(self._rounds.is_lost(i)) is lost and bool(self._told[i >> 3] & bit) is not lost:
                self._told[i >> 3] ^= bit
                words.append("%d (%s)" % (peer_id, self._since(i)) if lost else str(peer_id))
        if words:
            self._app.say(word + " " + ", ".join(words))

    def _since(self, i):
        silence_s = self._rounds.silence_s(i, ticks_us())
        return "never heard" if silence_s is None else "not heard for %d s" % silence_s

    def facts(self):
        """What the status tells of the rounds: lost is a list of an id and the seconds since it was heard, None: not
        since this board's start."""
        rounds = self._rounds
        ids = self._app.node.machine.ids
        return {
            "number": rounds.number,
            "length_ms": rounds.marks * self._app.node.first_sample.mark_us // 1000,
            "present": [ids[i] for i in range(len(ids)) if rounds.is_present(i)],
            "lost": [(ids[i], rounds.silence_s(i, ticks_us())) for i in range(len(ids)) if rounds.is_lost(i)],
        }

    def status(self):
        """Who is lost, as words."""
        ids = self._app.node.machine.ids
        return ["%d (%s)" % (ids[i], self._since(i)) for i in range(len(ids)) if self._rounds.is_lost(i)]
