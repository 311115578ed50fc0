"""How fast is it? Every system side by side with the least that plain Python can do, in one run.

    python -m benchmarks            # all cases, 7 rounds, results in benchmarks/results.json and benchmarks/RESULTS.md
    python -m benchmarks --quick    # a short slice of it: 3 rounds, ours and the limit, nothing written

`adapters/` holds one file per system, `cases/` one per row of the table. Each repetition is a fresh process; the rounds go over
all entries in turn, so that a noisy minute hurts everybody alike. The peers live in environments of their own beside this file,
which the same command makes.
"""
