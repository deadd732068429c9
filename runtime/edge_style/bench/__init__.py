"""`edge-style bench`: models x providers x precisions x sizes, in figures that can be compared.

    plan      which candidates there are
    job       what one process is asked to do, and what it answers
    worker    that process: one model on one provider at one size
    loop      how a run is timed; standard library only, so that other programs' environments can
              be measured by the same loop
    energy    joules, where the device tells
    rounds    starts the processes, in interleaved rounds
    result    all rounds of a candidate in figures
    compare   two benchmarks, with a verdict that knows noise
    plot      a picture of it (matplotlib)

Every candidate has a process of its own in every round, and nothing else runs meanwhile. A process
that waits for its turn would do too, if it did not spin; but it keeps its memory (2 GB for a
full-size network at 1080p), and it is one throw of the dice: where its memory came to lie and how
its threads were placed stay the same for all its runs. New processes let that vary from round to
round as it varies from start to start, so that the spread between rounds is the spread a user
sees, and the cold start is measured as often as the rest.
"""
