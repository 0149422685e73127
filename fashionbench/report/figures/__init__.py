"""The figures of the report: each function takes frames and returns a matplotlib figure, drawn later as SVG."""
