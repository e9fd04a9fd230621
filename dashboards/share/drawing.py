"""Draws charts in a process of its own: Vega-Lite specifications in, SVG out, a line of JSON each.

What draws is a JavaScript engine: where it gives up (text with a NUL is enough) it takes its whole
process with it, and that may not be the explorer's. Run by figures.py, as a script.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Read one JSON list of specifications, write what each looks like, or null."""
    import vl_convert

    asked = json.load(sys.stdin)
    for spec in asked["specs"]:
        try:
            # No address may be asked for, whatever a chart says.
            svg = vl_convert.vegalite_to_svg(spec, config=asked["config"], allowed_base_urls=[])
        except ValueError as error:
            print(error, file=sys.stderr)
            svg = None
        print(json.dumps(svg), flush=True)


if __name__ == "__main__":
    main()
