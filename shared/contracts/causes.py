"""Why runs fail, in one word that can be filtered and counted; the sentence and its remedy are in the envelope."""

from enum import StrEnum


class Cause(StrEnum):
    """Which kind of trouble ended a failed or quarantined run."""

    TIME_LIMIT = "time_limit"  #: it took longer than its kind may
    OUT_OF_MEMORY = "out_of_memory"  #: it asked for more memory than there is, or the kernel killed it for that
    KILLED_BY_SIGNAL = "killed_by_signal"  #: its process was killed, or native code crashed
    LOST_NODE = "lost_node"  #: its worker was not heard of until the lease ran out
    DEPENDENCY_DOWN = "dependency_down"  #: a store or a service was away for too long
    BAD_INPUT = "bad_input"  #: what it was given cannot be worked with
    TOO_LARGE = "too_large"  #: an input or the result breaks a size limit
    BUG = "bug"  #: an error that nobody foresaw
    CHILDREN = "children"  #: of a parent: too few of its children succeeded


#: What to do about a run that crashed again and again.
REMEDIES = {
    Cause.OUT_OF_MEMORY: "Ask for less at once, or run it in a pool with more memory; then retry it.",
    Cause.KILLED_BY_SIGNAL: "Look at the end of its log for what it did last, mend the cause and retry it.",
    Cause.LOST_NODE: "Look whether the workers of its pool stay up (`faultline workers`), then retry it.",
    Cause.DEPENDENCY_DOWN: "Bring the dependency back, then retry it.",
}
