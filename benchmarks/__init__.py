"""How fast vidgraph is, measured side by side; the figures in docs/performance.md come from here."""
