"""What must hold of every step of a member of a model-checked swarm, by name."""

OLD_FRAME = "a frame made before the receiver booted changes nothing, unless its session is vouched for"
ONCE = "a frame counts once, and none of an earlier boot after one of a later"
UNPROVED = "an unproved frame changes nothing"
FALSE_CONCLUSION = "no false conclusion"
CONCLUSION_CHANGES = "a conclusion stays"
BITS_FALL = "bits never fall within a generation"
GENERATION_FALLS = "the generation never falls"
REBOOT_COUNTS = "a reboot that is noticed ends the readiness before it"
OWN_READINESS = "a node counts itself ready when it is, and not before"
ADOPTION = "a new generation begins with nothing of an older one"
COUNTING = "an undecided machine counts whom its node knows to be ready"
INSTANT = "one instant, known from the conclusion on"
CONFLICT = "no id is taken to be used twice"
REFUSED = "an authentic frame passes the checks"
GROWS = "nothing grows"
EXCEPTION = "no exception"

# Of rounds
ROUND = "a node is in the round of the swarm's clock"
SETS_FALL = "who has been heard in a round stays heard while it lasts"
COUNTED_SILENT = "who has been heard in a round is not counted as silent in it"
JOINED = "whoever is named as heard in this round is heard"
RIGHTLY = "who counts as heard in a round has spoken in it"
OTHER_ROUND = "a frame of another round changes nothing"
FALSE_LOSS = "nobody is lost who was heard in this round or in the one before"
EARLY = "nobody is lost before a whole round and a twelfth without a word"
LATE_LOSS = "who is not heard in a whole round and a twelfth is lost"
BACK = "who is heard again is back at once"
TOLD = "what is said is who has been lost and who is back, once"
SILENCED = "what was heard before a round began silences nobody in it"
DIFFERS = "a frame that tells nothing new does not count as one that does"
UNHEARD = "once the faults end, all hear of all in each round, and the dead and nobody else are lost"


class Violation(Exception):
    """A property is broken. broken: which of the texts above."""

    def __init__(self, broken: str, words: str) -> None:
        super().__init__(f"{broken}: {words}")
        self.broken = broken
