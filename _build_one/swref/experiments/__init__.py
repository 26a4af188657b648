"""One module per figure of the paper: seeded, tested, returns arrays and results, draws nothing."""
