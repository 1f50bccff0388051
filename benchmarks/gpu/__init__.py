"""``python -m vidgraph.benchmarks.gpu``: everything that only a card can show, in one command.

Each part runs in a process of its own, so that one that fails, or takes too long, leaves the others alone. What is not
there is left out with its reason. The figures are one JSON file, which :mod:`.render` writes into docs/performance.md.
"""
