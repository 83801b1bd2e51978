"""Seeds that once showed a mistake, each with what it was. They are played with every test run."""

REGRESSIONS: dict[int, str] = {
    16: "a relay that was cancelled from inside ended unseen, and nothing was published any more",
    9: "a scanner that was cancelled from inside ended unseen, and no deadline was raised any more",
    826: "while an intake went back to the first event, later ones overtook those that it had just dropped",
    367: "a rebalance ended the seek of an intake that went back: what it had read by then was overtaken",
    3685: "as 367, and what had been read meanwhile was lost",
    8114: "as 3685, after two wipes",
    8985: "no mistake of the kernel: the operator was struck by a fault that only a process survives",
}
