"""The figures of the report: frames in, matplotlib figures out, drawn as SVG."""
