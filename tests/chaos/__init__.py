"""A chaos test: seeds make runs, a nemesis ends and disturbs them, a checker judges.

`python -m tests.chaos --seeds 2000` tries many seeds, `--seed 1234` replays one. All
draws belong to the seed; how threads interleave does not, so a replay shows the same
failure mostly, not always.
"""
