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


class Violation(Exception):
    """A property is broken. broken: which of the texts above."""

    def __init__(self, broken: str, words: str) -> None:
        super().__init__(f"{broken}: {words}")
        self.broken = broken
